#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shared mappings and O_DIRECT write, and see what the others wrote.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
touch "$tmp/view"
make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk"

cat >"$tmp/try.py" <<'PY'
import mmap
import os
import sys

view, model = sys.argv[1:]
size = os.stat(view).st_size
v = os.open(view, os.O_RDWR)
direct = os.open(view, os.O_RDWR | os.O_DIRECT)
m = os.open(model, os.O_RDWR)
page = mmap.mmap(-1, 1 << 20)

a = mmap.mmap(v, size)
b = mmap.mmap(v, size)
for off, data in ((5, b"five"), (65530, b"across clusters"),
                  (size - 3, b"end"), (3 << 20, b"m" * 300000)):
    a[off:off + len(data)] = data
    os.pwrite(m, data, off)
    assert b[off:off + len(data)] == data
    assert os.pread(v, len(data), off) == data
a.flush()
os.preadv(direct, [page], 3 << 20)
assert page[:] == os.pread(m, 1 << 20, 3 << 20)

page[:] = os.urandom(1 << 20)
assert os.pwritev(direct, [page], 5 << 20) == 1 << 20
os.pwritev(m, [page], 5 << 20)
assert a[5 << 20:6 << 20] == page[:]
assert os.pread(v, 1 << 20, 5 << 20) == page[:]

os.pwrite(v, b"by write", 6 << 20)
os.pwrite(m, b"by write", 6 << 20)
assert a[6 << 20:(6 << 20) + 8] == b"by write"

# A mapping that lives longer than any descriptor.
c = mmap.mmap(v, size)
os.close(v)
os.close(direct)
c[9 << 20:(9 << 20) + 4] = b"late"
os.pwrite(m, b"late", 9 << 20)
a.close()
b.close()
c.close()
PY
cp "$tmp/disk.raw" "$tmp/expected.raw"
mount_view --rw "$tmp/disk.vmdk" "$tmp/view"
python3 "$tmp/try.py" "$tmp/view" "$tmp/expected.raw"
same "$tmp/expected.raw" "$tmp/view"
unmount_view "$tmp/view"
is_now vmdk "$tmp/disk.vmdk" "$tmp/expected.raw"
