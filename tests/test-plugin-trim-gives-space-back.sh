#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a guest trims, as fstrim does, takes no space in the overlay any more:
# after a flush, and also some seconds later when none ever comes.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

cd "$tmp"
truncate -s 64M base.raw
truncate -s 1M hole
requires fallocate -p -l 1M hole

cat >fill.py <<'PY'
import os
for off in range(0, 48 << 20, 1 << 20):
    h.pwrite(os.urandom(1 << 20), off)
PY
# All but what an ext4 keeps: the beginning of each group, a file here and there.
cat >trim.py <<'PY'
for group in range(0, 64 << 20, 8 << 20):
    for off, n in ((300 << 10, 1 << 20), (1500 << 10, 6 << 20)):
        h.trim(n, group + off)
PY

# blocks: KiB that the overlay takes.
blocks () { echo $(( $(stat -c %b changes.qcow2) / 2 )); }
is_large () { [ "$(blocks)" -ge 40000 ]; }
is_small () { [ "$(blocks)" -lt 16384 ]; }

serve_rw base.raw format=raw overlay=changes.qcow2
nbdsh -u "$uri" -c "$(cat fill.py)" -c 'h.flush()'
[ "$(blocks)" -ge 49152 ] || fail "only $(blocks) KiB were written"
nbdsh -u "$uri" -c "$(cat trim.py)" -c 'h.flush()'
wait_until 10 is_small || fail "$(blocks) KiB are left after a flush"

nbdsh -u "$uri" -c "$(cat fill.py)"
wait_until 10 is_large || fail "only $(blocks) KiB are there"
nbdsh -u "$uri" -c "$(cat trim.py)"
wait_until 20 is_small || fail "$(blocks) KiB are left without a flush"

stop_server
is_clean qcow2 changes.qcow2
