#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file that can be written keeps its size, its mode and its name.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
mkdir "$tmp/view"
qemu-img create -q -f vmdk "$tmp/a.vmdk" 1M
mount_view --rw "$tmp/a.vmdk" "$tmp/view"

cat >"$tmp/try.py" <<'PY'
import errno
import os
import sys

folder = sys.argv[1]
path = os.path.join(folder, "a.vmdk.raw")
SIZE = 1 << 20
fd = os.open(path, os.O_RDWR)


def fails(number, f, *args):
    try:
        f(*args)
    except OSError as e:
        assert e.errno == number, (f.__name__, args, e)
    else:
        raise AssertionError(f"{f.__name__} {args} succeeded")
    assert os.stat(path).st_size == SIZE


for size in (0, SIZE - 1, SIZE + 1, 1 << 40):
    fails(errno.EPERM, os.truncate, path, size)
    fails(errno.EPERM, os.ftruncate, fd, size)
os.truncate(path, SIZE)
os.ftruncate(fd, SIZE)
fails(errno.EPERM, os.open, path, os.O_RDWR | os.O_TRUNC)
fails(errno.EPERM, os.open, path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)

# The end is that of a block device.
assert os.pwrite(fd, b"x" * 100, SIZE - 100) == 100
assert os.pwrite(fd, b"y" * 8192, SIZE - 4096) == 4096
fails(errno.ENOSPC, os.pwrite, fd, b"z", SIZE)
fails(errno.ENOSPC, os.pwrite, fd, b"z" * 4096, SIZE + 4096)
assert os.pread(fd, 9000, SIZE - 4096) == b"y" * 4096
at_end = os.open(path, os.O_WRONLY | os.O_APPEND)
fails(errno.ENOSPC, os.write, at_end, b"z")
os.close(at_end)

fails(errno.EPERM, os.chmod, path, 0o600)
fails(errno.EPERM, os.chown, path, 12345, -1)
fails(errno.EPERM, os.unlink, path)
fails(errno.EPERM, os.rename, path, path + "2")
fails(errno.EPERM, os.link, path, path + "2")
fails(errno.EPERM, os.symlink, path, path + "2")
fails(errno.EPERM, os.mkdir, os.path.join(folder, "d"))
fails(errno.EPERM, os.open, os.path.join(folder, "x"), os.O_RDWR | os.O_CREAT)
os.utime(path, (1, 1))
assert os.stat(path).st_mode == 0o100644
PY
python3 "$tmp/try.py" "$tmp/view"
unmount_view "$tmp/view"
is_clean vmdk "$tmp/a.vmdk"

# As opened for reading it is not for writing.
mount_view "$tmp/a.vmdk" "$tmp/view"
! : 2>/dev/null >>"$tmp/view/a.vmdk.raw" || fail 'written without --rw'
