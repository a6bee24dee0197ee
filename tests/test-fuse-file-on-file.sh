#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image mounted on a regular file reads as qemu-img converts it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
touch "$tmp/view"

check ()
{
  qemu-img convert -O raw "$1" "$tmp/truth"
  mount_view "$1" "$tmp/view"
  [ "$(stat -c %F "$tmp/view")" = 'regular file' ] || fail 'not a regular file'
  same "$tmp/truth" "$tmp/view"
  unmount_view "$tmp/view"
  [ ! -s "$tmp/view" ] || fail 'the file under the mount is not back'
}

make_image qcow2 "$tmp/disk.raw" "$tmp/plain.qcow2"
make_image qcow2 "$tmp/disk.raw" "$tmp/zlib.qcow2" -c
make_image vmdk "$tmp/disk.raw" "$tmp/sparse.vmdk" -o subformat=monolithicSparse
make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" -o subformat=streamOptimized

check "$tmp/plain.qcow2"
check "$tmp/zlib.qcow2"
check "$tmp/sparse.vmdk"
check "$tmp/stream.vmdk"
