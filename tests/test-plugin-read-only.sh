#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With -r exports are read-only and say so, also with an overlay; and another
# program may read the image meanwhile.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
remember "$tmp/disk.qcow2"

is_read_only ()
{
  nbdsh -u "$1" -c - <<'PY'
assert h.is_read_only()
assert not h.can_zero() and not h.can_trim() and not h.can_flush()
h.set_strict_mode(0)
for write in (lambda: h.pwrite(b"x" * 512, 0), lambda: h.zero(512, 0),
              lambda: h.trim(512, 0)):
    try:
        write()
    except nbd.Error as e:
        assert e.errno in ("EPERM", "EINVAL", "EROFS"), e
        continue
    raise SystemExit("a write was done")
assert len(h.pread(512, 0)) == 512
PY
}

serve "$tmp/disk.qcow2"
is_read_only "$uri"
qemu-img compare -f qcow2 -F raw "$tmp/disk.qcow2" "$tmp/disk.raw" >/dev/null ||
  fail 'QEMU cannot read it'
! grep 'is read-only: ' "$nbdkit_log" || fail "nobody asked to write"

serve "$tmp/disk.qcow2" "overlay=$tmp/changes.qcow2"
is_read_only "$uri"
reads_as "$uri" "$tmp/disk.raw"
unchanged
