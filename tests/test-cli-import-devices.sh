#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import to NBD servers and block devices, which may be larger than the disk: what
# lies behind its end stays, what was there before is gone.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires nbdkit file --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image vmdk disk.raw a.vmdk
head -c 16M /dev/urandom >there
cp there old

arrived ()
{
  cmp -n 12582912 disk.raw there || fail 'the disk differs'
  cmp -i 12582912 old there || fail 'what lies behind was changed'
}

start_nbdkit -P pid -U "$tmp/sock" file there
rawview import a.vmdk --to "nbd+unix:///?socket=$tmp/sock" >plan
matches plan 'NBD server, there, 16 MiB: larger than the disk'
arrived
cp old there
rawview import --conversion=none a.vmdk --to "nbd+unix:///?socket=$tmp/sock" \
  >plan
cmp -n "$(stat -c %s a.vmdk)" a.vmdk there || fail 'the file differs'

refused err rawview import a.vmdk \
  --to "nbd+unix:///?socket=$tmp/sock,format=qcow2"
matches err 'qcow2 is for files; this is written as raw'

[ "$(id -u)" -eq 0 ] || exit 0
cp old backing
device=$(losetup --find --show backing 2>/dev/null) || exit 0
cleanup_fn losetup --detach "$device"
# The folder is ours alone, and the user is another.
chmod 755 .
chmod 644 a.vmdk
rawview import a.vmdk --to "$device" --user nobody >plan
matches plan 'block device, there, 16 MiB: larger than the disk'
sync "$device"
cp "$device" there
arrived
