#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy to a block device: what was there before is gone, also where the disk is
# zero; what lies behind the disk stays.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires test "$(id -u)" -eq 0
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2

# device SIZE [OPTION…]: sets $device, with old data on it.
device ()
{
  head -c "$1" /dev/urandom >backing
  cp backing old
  shift
  device=$(losetup --find --show "$@" backing 2>err) ||
    skip "no loop device: $(cat err)"
}

release () { losetup --detach "$device" 2>/dev/null || :; }
cleanup_fn release

device 16M
rawview copy disk.qcow2 "$device"
cmp -n 12582912 disk.raw "$device" || fail 'the copy differs'
cmp -i 12582912 old "$device" || fail 'what lies behind was changed'
# Zeros are not written, where the device can do without.
cp old punched
if fallocate --punch-hole --length 1M punched 2>/dev/null; then
  sync backing
  [ "$(stat -c %b backing)" -lt "$(stat -c %b old)" ] ||
    fail 'zeros take space'
fi
release

# Large sectors cannot be zeroed in small pieces.
device 16M --sector-size 4096
rawview copy --sparse=512 disk.qcow2 "$device"
cmp -n 12582912 disk.raw "$device" || fail 'the copy differs'
release

# From a pipe, which does not bring zeros.
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized
device 16M
# shellcheck disable=SC2002
cat disk.vmdk | rawview copy - "$device"
cmp -n 12582912 disk.raw "$device" || fail 'the copy differs'
cmp -i 12582912 old "$device" || fail 'what lies behind was changed'
release

device 11M
refused err rawview copy disk.qcow2 "$device"
line_count err 1
matches err 'has 11534336 bytes, the disk needs 12582912'
same old "$device"
release
