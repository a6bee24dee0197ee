#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images that come and go in the folder come and go in the mount.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

mkdir "$tmp/images" "$tmp/view"
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2"
mount_view "$tmp/images" "$tmp/view"
[ "$(ls "$tmp/view")" = a.qcow2.raw ] || fail "$(ls "$tmp/view")"

# A new one can be opened at once, also by name.
make_image vmdk "$tmp/disk.raw" "$tmp/b.vmdk"
mv "$tmp/b.vmdk" "$tmp/images"
same "$tmp/disk.raw" "$tmp/view/b.vmdk.raw"
[ "$(ls "$tmp/view")" = $'a.qcow2.raw\nb.vmdk.raw' ] || fail "$(ls "$tmp/view")"
inode=$(stat -c %i "$tmp/view/b.vmdk.raw")

is_absent () { [ ! -e "$1" ]; }
mv "$tmp/images/a.qcow2" "$tmp"
wait_until 5 is_absent "$tmp/view/a.qcow2.raw" || fail 'a.qcow2.raw stays'
[ "$(stat -c %i "$tmp/view/b.vmdk.raw")" = "$inode" ] ||
  fail 'an inode number has changed'
mv "$tmp/a.qcow2" "$tmp/images"
same "$tmp/disk.raw" "$tmp/view/a.qcow2.raw"
