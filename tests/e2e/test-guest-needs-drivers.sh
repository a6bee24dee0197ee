#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the tests of injection rest upon: without it, their guest comes up from
# an IDE disk but not from a virtio disk.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"

requires_guest
requires qemu-system-x86_64 --version

use_guest

start=$SECONDS
boot -drive "if=ide,snapshot=on,format=raw,file=$ide_guest"
says 900 RAWVIEW-GUEST-UP
exec 7>&-
stop_process "$qemu_pid"
echo "ok: it boots from IDE ($((SECONDS - start)) s)"

start=$SECONDS
boot -drive "$(virtio_disk raw "$ide_guest")"
says 900 'ALERT!'
guest_ends 300
! grep -aqF RAWVIEW-GUEST-UP "$console" || fail 'it boots from virtio'
matches "$console" 'ALERT!.*does not exist'
echo "ok: it does not find a virtio disk ($((SECONDS - start)) s)"
