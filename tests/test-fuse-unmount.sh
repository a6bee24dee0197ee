#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Unmounting ends the daemon and takes away the pid file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
mkdir "$tmp/view"
mount_view "$tmp/disk.qcow2" "$tmp/view"
same "$tmp/disk.raw" "$tmp/view/disk.qcow2.raw"
unmount_view "$tmp/view"
[ ! -e "$tmp/view.pid" ] || fail 'the pid file is still there'

# In use it is not unmounted, and goes on.
mount_view "$tmp/disk.qcow2" "$tmp/view"
exec 5<"$tmp/view/disk.qcow2.raw"
! fusermount3 -u "$tmp/view" 2>/dev/null || fail 'unmounted while in use'
cmp - "$tmp/disk.raw" <&5
exec 5<&-
