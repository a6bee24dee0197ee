#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# serve offers to write with --rw or an overlay only, and what cannot be written
# is refused before anything is served.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
requires_nbdkit
requires qemu-io --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
make_image vmdk disk.raw stream.vmdk -o subformat=streamOptimized
remember stream.vmdk

# writes NUMBER ARG…: what serve takes.
# shellcheck disable=SC2016
writes ()
{
  local number=$1

  shift
  rawview serve "$@" \
    --run "qemu-io -f raw -c \"write -P $number 1M 64k\" \"\$uri\"" >io.log 2>&1
}

! writes 1 a.qcow2 || fail 'written without --rw'
! writes 1 --overlay=changes.qcow2 --read-only stream.vmdk ||
  fail 'written with --read-only'
writes 2 --rw a.qcow2
writes 3 --overlay=changes.qcow2 stream.vmdk
unchanged
is_clean qcow2 a.qcow2
is_clean qcow2 changes.qcow2
qemu-io -r -f qcow2 -c 'read -P 2 1M 64k' a.qcow2 >io.log
matches io.log '^read 65536/65536'
qemu-io -r -f qcow2 -c 'read -P 3 1M 64k' changes.qcow2 >io.log
matches io.log '^read 65536/65536'

# All or nothing, but in a folder each for itself.
refused said rawview serve --rw a.qcow2 stream.vmdk
line_count said 1
matches said '^rawview: .*stream\.vmdk.*overlay'
mkdir images
mv a.qcow2 stream.vmdk images
rawview serve --rw --libvirt-xml --socket "$tmp/sock" images >xml 2>serve.log &
server=$!
cleanup_fn stop_process "$server"
complete () { [ "$(grep -c '^</disk>$' xml)" -eq 2 ]; }
wait_until 30 complete || fail 'no XML'
stop_process "$server"
wait "$server"
[ "$(grep -c '<readonly/>' xml)" -eq 1 ] || fail 'who is read-only?'
grep -A9 "name='stream.vmdk'" xml | grep -q '<readonly/>' ||
  fail 'stream.vmdk is not read-only'

refused said rawview serve --rw --read-only images
matches said 'exclude each other'
refused said rawview serve --rw --overlay=x images/a.qcow2
matches said 'exclude each other'
