#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# O_DIRECT reads go past the page cache and are right.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c
touch "$tmp/view"
mount_view "$tmp/disk.qcow2" "$tmp/view"
for bs in 512 4096 65536 8M; do
  dd if="$tmp/view" of="$tmp/copy" bs=$bs iflag=direct status=none
  same "$tmp/disk.raw" "$tmp/copy"
done
dd if="$tmp/view" of="$tmp/copy" bs=512 skip=1001 count=333 iflag=direct \
  status=none
dd if="$tmp/disk.raw" of="$tmp/part" bs=512 skip=1001 count=333 status=none
same "$tmp/part" "$tmp/copy"
