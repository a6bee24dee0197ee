#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nothing can be written, created, removed or truncated.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires python3 --version
make_raw "$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2"
sha256sum "$tmp/images/a.qcow2" >"$tmp/sum"
mount_view -o rw "$tmp/images" "$tmp/view"

cat >"$tmp/try.py" <<'PY'
import errno
import os
import sys

path = sys.argv[1]
allowed = (errno.EROFS, errno.EPERM, errno.EACCES)
fd = os.open(path, os.O_RDONLY)


def refused(f, *args, more=()):
    try:
        f(*args)
    except OSError as e:
        assert e.errno in allowed + more, e
    else:
        raise AssertionError(f"{f.__name__} {args} succeeded")


refused(os.open, path, os.O_RDWR)
refused(os.open, path, os.O_WRONLY)
refused(os.open, path, os.O_RDWR | os.O_DIRECT)
refused(os.open, path, os.O_RDONLY | os.O_TRUNC)
refused(os.open, os.path.join(os.path.dirname(path), "x"),
        os.O_RDWR | os.O_CREAT)
refused(os.truncate, path, 0)
refused(os.unlink, path)
refused(os.rename, path, path + "2")
refused(os.chmod, path, 0o644)
refused(os.utime, path)
refused(os.mkdir, os.path.join(os.path.dirname(path), "d"))
refused(os.setxattr, path, "user.x", b"1", more=(errno.ENOTSUP,))
refused(os.posix_fallocate, fd, 0, 4096, more=(errno.EBADF,))
refused(os.pwrite, fd, b"x", 0, more=(errno.EBADF,))
assert not os.access(path, os.W_OK)
PY
python3 "$tmp/try.py" "$tmp/view/a.qcow2.raw"

# Nor after somebody has made the kernel believe otherwise.
if mount -i -o remount,rw "$tmp/view" 2>/dev/null; then
  if : 2>/dev/null >>"$tmp/view/a.qcow2.raw"; then
    fail 'opened for writing after a remount'
  fi
fi

same "$tmp/disk.raw" "$tmp/view/a.qcow2.raw"
sha256sum --quiet -c "$tmp/sum"
