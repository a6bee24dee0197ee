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


# Truth: which clusters have a byte that is not zero.
expected = []
for off in range(0, size, CLUSTER) if raw else []:
    if raw[off:off + CLUSTER].strip(b"\0"):
        if expected and expected[-1][1] == off:
            expected[-1][1] = off + CLUSTER
        else:
            expected.append([off, off + CLUSTER])
if expected:
    expected[-1][1] = min(expected[-1][1], size)

found = []
off = 0
while off < size:
    start = seek(off, os.SEEK_DATA)
    if start is None:
        break
    off = seek(start, os.SEEK_HOLE)
    found.append([start, off])
assert found == expected, (found, expected)

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
