#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A block device takes the changes of its overlay too; its journal lies where
# somebody says, since /dev does not last.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
requires test -e "$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so"
cd "$tmp"
make_base raw disk
device=$(losetup --find --show disk 2>/dev/null) || skip 'no loop devices'
cleanup_fn losetup -d "$device"
mkdir other

serve_rw "$device" format=raw allow-devices=yes overlay=other/over
qemu-io -f raw -c 'write -P 7 1M 1M' -c 'write -z 3M 1M' "$uri" >qemu-io.log
stop_server
qemu-img convert -f qcow2 -O raw other/over after.raw

do_commit ()
{
  "$commitcheck" "$@" -o format=raw -o allow-devices=yes "$device" other/over
}

for what in check run; do
  status=0
  do_commit "$what" 2>said.log || status=$?
  [ "$status" -eq 1 ] || fail "$what: status $status"
  matches said.log "$device is a device, beside which no journal can be"
done
do_commit check -j other/journal

# Killed after the decision; then finished, from another folder.
for (( n = 1; ; n++ )); do
  KILL_AT=$n LD_PRELOAD=$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so \
    do_commit run -j other/journal 2>killed.log && fail 'it was never decided'
  [ ! -e other/journal ] || break
done
(cd / && "$commitcheck" recover "$tmp/other/journal") || fail 'not recovered'
qemu-img compare -f raw -F raw "$device" after.raw >compare.log ||
  fail 'the device has other bytes'
[ -z "$(ls -A other)" ] || fail "left behind: $(ls -A other)"
