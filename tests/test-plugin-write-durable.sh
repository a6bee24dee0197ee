#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a flush or FUA has confirmed is there after SIGKILL; what no client ever
# flushes is, too, some seconds later.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

cd "$tmp"
qemu-img create -q -f raw base.raw 16M
qemu-img create -q -f qcow2 flushed.qcow2 16M
qemu-img create -q -f vmdk fua.vmdk 16M
qemu-img create -q -f qcow2 alone.qcow2 16M

# The data must be in the file, whatever else is: leaks are allowed.
has ()
{
  qemu-img convert -f "$1" -O raw "$2" read.raw
  [ "$(dd if=read.raw bs=1 skip=1048576 count=5 status=none)" = "$3" ] ||
    fail "$2 has lost what was written"
}

serve_rw flushed.qcow2
nbdsh -u "$uri" -c 'h.pwrite(b"flush" * 20000, 1 << 20); h.flush()'
kill_server
has qcow2 flushed.qcow2 flush

serve_rw fua.vmdk
nbdsh -u "$uri" \
  -c 'h.pwrite(b"forced" * 20000, 1 << 20, nbd.CMD_FLAG_FUA)'
kill_server
has vmdk fua.vmdk force

serve_rw alone.qcow2
nbdsh -u "$uri" -c 'h.pwrite(b"alone" * 20000, 1 << 20)'
sleep 6.5
kill_server
has qcow2 alone.qcow2 alone

# And they can be written again.
for image in flushed.qcow2 fua.vmdk alone.qcow2; do
  serve_rw "$image"
  nbdsh -u "$uri" -c 'assert not h.is_read_only()' \
    -c 'h.pwrite(b"again" * 20000, 1 << 20)'
  stop_server
  has "${image#*.}" "$image" again
done
