#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is trimmed takes no space any more, also if no flush ever comes; and what
# is written again and again does not let the image grow.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

cd "$tmp"
make_raw disk.raw
truncate -s 40M disk.raw
make_image vmdk disk.raw stream.vmdk -o subformat=streamOptimized

blocks () { stat -c %b changes.qcow2; }
fewer_than () { [ "$(blocks)" -lt "$1" ]; }

serve_rw stream.vmdk overlay=changes.qcow2
nbdsh -u "$uri" -c 'for i in range(32): h.pwrite(b"\xaa" * 2**20, i * 2**20)' \
  -c 'h.flush()'
[ "$(blocks)" -gt 65000 ] || fail 'where is what was written?'

# No flush from the client.
nbdsh -u "$uri" -c 'h.trim(16 * 2**20, 0)'
wait_until 25 fewer_than 40000 || fail "still $(blocks) blocks after a trim"

# With flushes at once.
nbdsh -u "$uri" -c 'h.zero(15 * 2**20, 16 * 2**20)' -c 'h.flush(); h.flush()'
wait_until 3 fewer_than 8000 || fail "still $(blocks) blocks after a zero"

# What was freed is used again.
nbdsh -u "$uri" -c '
for i in range(12):
    h.pwrite(b"\xbb" * 2**22, i % 3 * 2**22)
    h.flush()
    h.trim(2**22, i % 3 * 2**22)
    h.flush()
'
[ "$(stat -c %s changes.qcow2)" -lt 60000000 ] || fail 'it grows and grows'
nbdsh -u "$uri" -c 'assert h.pread(2**20, 31 * 2**20) == b"\xaa" * 2**20'
stop_server
is_clean qcow2 changes.qcow2
