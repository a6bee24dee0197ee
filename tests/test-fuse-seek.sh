#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SEEK_DATA and SEEK_HOLE find data and zeros where they are.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires python3 --version
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/plain.qcow2"
make_image qcow2 "$tmp/disk.raw" "$tmp/zlib.qcow2" -c
make_image vmdk "$tmp/disk.raw" "$tmp/sparse.vmdk"
truncate -s 1G "$tmp/empty.raw"
make_image qcow2 "$tmp/empty.raw" "$tmp/empty.qcow2"

cat >"$tmp/walk.py" <<'PY'
import errno
import os
import sys

CLUSTER = 65536
raw = open(sys.argv[1], "rb").read() if sys.argv[1] != "empty" else None
fd = os.open(sys.argv[2], os.O_RDONLY)
size = os.fstat(fd).st_size


def seek(off, whence):
    try:
        return os.lseek(fd, off, whence)
    except OSError as e:
        assert e.errno == errno.ENXIO, e
        return None


# Truth: what is not zero must be data; what is called data may be more, up to
# the clusters that have some (holes of the container inside them are known).
def nonzero(unit):
    runs = []
    for at in range(0, size, unit) if raw else []:
        if raw[at:at + unit].strip(b"\0"):
            if runs and runs[-1][1] == at:
                runs[-1][1] = at + unit
            else:
                runs.append([at, at + unit])
    if runs:
        runs[-1][1] = min(runs[-1][1], size)
    return runs


def inside(runs, others):
    return all(any(o[0] <= r[0] and r[1] <= o[1] for o in others)
               for r in runs)


found = []
off = 0
while off < size:
    start = seek(off, os.SEEK_DATA)
    if start is None:
        break
    off = seek(start, os.SEEK_HOLE)
    found.append([start, off])
assert inside(found, nonzero(CLUSTER)), (found, nonzero(CLUSTER))
assert inside(nonzero(512), found), (found, nonzero(512))

# From the middle of runs too.
for start, end in found:
    assert seek(start + 1, os.SEEK_DATA) == start + 1
    assert seek(end - 1, os.SEEK_HOLE) == end
    assert seek(start + 1, os.SEEK_HOLE) == end
    if end < size:
        assert seek(end + 1, os.SEEK_HOLE) == end + 1
assert seek(size, os.SEEK_DATA) is None
assert seek(size, os.SEEK_HOLE) is None
assert seek(0, os.SEEK_END) == size
PY

mkdir "$tmp/images" "$tmp/view"
mv "$tmp"/*.qcow2 "$tmp"/*.vmdk "$tmp/images"
mount_view "$tmp/images" "$tmp/view"
for image in plain.qcow2 zlib.qcow2 sparse.vmdk; do
  python3 "$tmp/walk.py" "$tmp/disk.raw" "$tmp/view/$image.raw" ||
    fail "$image: holes and data are not where they should be"
done
python3 "$tmp/walk.py" empty "$tmp/view/empty.qcow2.raw" || fail 'empty disk'
