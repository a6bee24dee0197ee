#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A limit on the size of files, as "ulimit -f" sets it, is an error of the write
# that met it: nbdkit does not die of it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

cat >"$tmp/fill.py" <<'PY'
MB = 1 << 20
h.pwrite(b"kept" * (MB // 4), 0)
h.flush()
for i in range(1, 8):
    try:
        h.pwrite(bytes([i]) * MB, i * MB)
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
        break
else:
    raise SystemExit("there was no limit")
h.pwrite(b"also" * (MB // 4), 0)
assert h.pread(MB, 0) == b"also" * (MB // 4)
h.flush()
PY

# try_format FORMAT
try_format ()
{
  local image=$tmp/disk.$1

  qemu-img create -q -f "$1" "$image" 32M
  ulimit -S -f 4096
  serve_rw "$image"
  ulimit -S -f unlimited
  nbdsh -u "$uri" -c - <"$tmp/fill.py"
  stop_server
  is_clean "$1" "$image"
  qemu-img convert -f "$1" -O raw "$image" "$tmp/read.raw"
  [ "$(head -c 1048576 "$tmp/read.raw" | tail -c 4)" = also ] ||
    fail 'lost what was flushed'
}

try_format qcow2
try_format vmdk
