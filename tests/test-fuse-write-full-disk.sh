#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A full disk shows as ENOSPC; what was durable stays, and writing goes on when
# there is space again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
small_filesystem "$tmp/small" 8M
touch "$tmp/view"

cat >"$tmp/fill.py" <<'PY'
import errno
import os
import sys

view, ballast = sys.argv[1:]
MB = 1 << 20
v = os.open(view, os.O_RDWR)
os.pwrite(v, b"kept" * (MB // 4), 0)
os.fsync(v)
for i in range(1, 32):
    try:
        if os.pwrite(v, bytes([i]) * MB, i * MB) < MB:
            break
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        break
else:
    raise SystemExit("the disk was never full")
assert os.pread(v, MB, 0) == b"kept" * (MB // 4)
os.unlink(ballast)
assert os.pwrite(v, bytes([i]) * MB, i * MB) == MB
os.fsync(v)
for j in range(1, i + 1):
    assert os.pread(v, MB, j * MB) == bytes([j]) * MB, j
PY

for format in qcow2 vmdk; do
  image=$tmp/small/disk.$format
  qemu-img create -q -f "$format" "$image" 32M
  dd if=/dev/zero of="$tmp/small/ballast" bs=1M count=3 status=none
  mount_view --rw "$image" "$tmp/view"
  python3 "$tmp/fill.py" "$tmp/view" "$tmp/small/ballast"
  cp --sparse=always "$tmp/view" "$tmp/expected.raw"
  unmount_view "$tmp/view"
  is_now "$format" "$image" "$tmp/expected.raw"
  rm "$image"
done
