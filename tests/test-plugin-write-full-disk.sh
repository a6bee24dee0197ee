#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A full disk is an error of the write that met it.  What was flushed before is
# there, and writing goes on when there is space again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
small_filesystem "$tmp/small" 8M

cat >"$tmp/fill.py" <<'PY'
import os

MB = 1 << 20
h.pwrite(b"kept" * (MB // 4), 0)
h.flush()
failed = None
for i in range(1, 32):
    try:
        h.pwrite(bytes([i]) * MB, i * MB)
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
        failed = i
        break
assert failed, "the disk was never full"
assert h.pread(MB, 0) == b"kept" * (MB // 4)
try:
    h.flush()
except nbd.Error as e:
    assert e.errno == "ENOSPC", e

# Space comes, and with it all is as before.
os.unlink(os.environ["ballast"])
h.pwrite(bytes([failed]) * MB, failed * MB)
h.flush()
for i in range(1, failed + 1):
    assert h.pread(MB, i * MB) == bytes([i]) * MB, i
PY
export ballast=$tmp/small/ballast

# try_format FORMAT
try_format ()
{
  local image=$tmp/small/disk.$1

  qemu-img create -q -f "$1" "$image" 32M
  dd if=/dev/zero of="$ballast" bs=1M count=3 status=none
  serve_rw "$image"
  nbdsh -u "$uri" -c - <"$tmp/fill.py"
  matches "$nbdkit_log" 'writing .*No space left on device'
  stop_server
  is_clean "$1" "$image"
  qemu-img convert -f "$1" -O raw "$image" "$tmp/read.raw"
  [ "$(head -c 1048576 "$tmp/read.raw" | tail -c 4)" = kept ] ||
    fail 'lost what was flushed'
  rm "$image"
}

try_format qcow2
try_format vmdk
