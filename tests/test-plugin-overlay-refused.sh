#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An overlay that was asked for and cannot be written is an error; nothing is
# served read-only instead.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
requires qemu-nbd --version

cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
make_image qcow2 disk.raw b.qcow2
qemu-img create -q -f qcow2 -F qcow2 -b b.qcow2 of-b.qcow2
echo 'my notes' >notes.txt
remember a.qcow2 b.qcow2 of-b.qcow2 notes.txt

# A foreign one, a file that is none, no such folder.
for overlay in of-b.qcow2 notes.txt missing/changes.qcow2; do
  refused said nbdkit -f -U "$tmp/sock" rawview a.qcow2 "overlay=$overlay"
  matches said "${overlay%/*}"
done
unchanged

# In use as soon as somebody comes.
qemu-img create -q -f qcow2 -F qcow2 -b a.qcow2 of-a.qcow2
serve_rw a.qcow2 overlay=of-a.qcow2
nbdsh -u "$uri" -c 'h.pwrite(b"x" * 512, 0)'
status=0
nbdkit -f -U - rawview a.qcow2 overlay=of-a.qcow2 \
  --run 'nbdinfo "$uri"' >said 2>&1 || status=$?
[ "$status" -ne 0 ] || fail 'two write to one overlay'
matches said 'of-a\.qcow2.*in use'
stop_server
unchanged
