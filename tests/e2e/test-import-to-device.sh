#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest without drivers for virtio, on a streamOptimized VMDK, is imported
# onto a block device that had something else on it, from which it boots as a
# virtio disk.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"
# shellcheck source=tests/e2e/functions-import.sh
. "$here/functions-import.sh"

requires_import
requires losetup --version

use_guest
use_format streamOptimized "$ide_guest"
remember_sources "$image"

# Larger than the disk, with other data in front, in the middle and at the end.
truncate -s $(( $(stat -c %s "$ide_guest") + 1048576 )) "$tmp/device.img"
for mib in 0 700 2215; do
  head -c 2M /dev/zero | tr '\0' x |
    dd of="$tmp/device.img" bs=1M seek=$mib conv=notrunc status=none
done
device=$(losetup --find --show "$tmp/device.img")
cleanup_fn losetup -d "$device"

import_guest "$image" --to "$device"

sources_are_unchanged
[ "$(tail -c 1048576 "$device" | tr -d x | wc -c)" -eq 0 ] ||
  fail 'what was behind the end of the disk is not there any more'
boots_from_virtio -drive "$(virtio_disk raw "$device")"
