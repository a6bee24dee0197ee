#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A limit on the size of files, as "ulimit -f" sets it, is an error of the write
# that met it: the mount does not die of it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
touch "$tmp/view"

cat >"$tmp/fill.py" <<'PY'
import errno
import os
import sys

MB = 1 << 20
v = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(v, b"kept" * (MB // 4), 0)
os.fsync(v)
for i in range(1, 8):
    try:
        if os.pwrite(v, bytes([i]) * MB, i * MB) < MB:
            break
    except OSError as e:
        assert e.errno == errno.EFBIG, e
        break
else:
    raise SystemExit("there was no limit")
os.pwrite(v, b"also" * (MB // 4), 0)
os.fsync(v)
assert os.pread(v, MB, 0) == b"also" * (MB // 4)
PY

qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 32M
ulimit -S -f 4096
mount_view --rw "$tmp/disk.qcow2" "$tmp/view"
ulimit -S -f unlimited
python3 "$tmp/fill.py" "$tmp/view"
cp --sparse=always "$tmp/view" "$tmp/expected.raw"
unmount_view "$tmp/view"
is_now qcow2 "$tmp/disk.qcow2" "$tmp/expected.raw"
