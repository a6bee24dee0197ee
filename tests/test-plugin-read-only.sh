#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Exports are read-only, with and without -r, and say so.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
sha256sum "$tmp/disk.qcow2" >"$tmp/sum"

start_nbdkit -P "$tmp/1.pid" -U "$tmp/1.sock" rawview "$tmp/disk.qcow2"
start_nbdkit -P "$tmp/2.pid" -U "$tmp/2.sock" -r rawview "$tmp/disk.qcow2"
for number in 1 2; do
  nbdsh -u "nbd+unix:///?socket=$tmp/$number.sock" -c - <<'PY'
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
done
sha256sum --quiet -c "$tmp/sum"
