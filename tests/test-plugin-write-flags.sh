#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What can be done is offered, and trim and fast zero do what they say.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

cat >"$tmp/try.py" <<'PY'
assert not h.is_read_only()
for can in (h.can_zero, h.can_fast_zero, h.can_trim, h.can_flush, h.can_fua,
            h.can_multi_conn, h.can_cache):
    assert can(), can
fua = nbd.CMD_FLAG_FUA
h.pwrite(b"a" * 65536, 0, fua)
h.pwrite(b"b" * 65536, 65536)
h.pwrite(b"c" * 65536, 131072, fua)
h.zero(65536, 0, fua)
h.zero(32768, 65536, nbd.CMD_FLAG_NO_HOLE | fua)
h.trim(65536, 131072, fua)
assert h.pread(98304, 0) == bytes(98304)
assert h.pread(32768, 98304) == b"b" * 32768
assert h.pread(65536, 131072) in (bytes(65536), b"c" * 65536)

# A fast zero is done or refused, and then nothing has changed.
try:
    h.zero(32768, 98304, nbd.CMD_FLAG_FAST_ZERO)
    assert h.pread(32768, 98304) == bytes(32768)
except nbd.Error as e:
    assert e.errno in ("ENOTSUP", "EOPNOTSUPP"), e
    assert h.pread(32768, 98304) == b"b" * 32768
h.zero(32768, 98304)
assert h.pread(65536, 65536) == bytes(65536)

h.set_strict_mode(0)
size = h.get_size()
for beyond in (lambda: h.pwrite(b"x" * 512, size), lambda: h.zero(512, size),
               lambda: h.trim(512, size)):
    try:
        beyond()
    except nbd.Error as e:
        assert e.errno in ("ENOSPC", "EINVAL"), e
    else:
        raise SystemExit("written beyond the end")
h.flush()
PY

cd "$tmp"
qemu-img create -q -f qcow2 disk.qcow2 16M
qemu-img create -q -f vmdk disk.vmdk 16M
for image in disk.qcow2 disk.vmdk; do
  serve_rw "$image"
  nbdsh -u "$uri" -c - <try.py
  stop_server
  is_clean "${image#*.}" "$image"
done
