#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many readers at once all get the right bytes.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2" -c
make_image vmdk "$tmp/disk.raw" "$tmp/images/b.vmdk" \
  -o subformat=streamOptimized
mount_view "$tmp/images" "$tmp/view"

read_one ()
{
  local i

  for (( i = 0; i < 5; i++ )); do
    dd if="$2" bs="$1" iflag=direct status=none | cmp - "$tmp/disk.raw" ||
      return 1
    cmp "$2" "$tmp/disk.raw" || return 1
  done
}

readers=()
for bs in 16K 60K 64K 1M; do
  for file in "$tmp/view/a.qcow2.raw" "$tmp/view/b.vmdk.raw"; do
    read_one $bs "$file" &
    readers+=($!)
  done
done
for pid in "${readers[@]}"; do
  wait "$pid" || fail 'a reader failed'
done

# And with one thread.
unmount_view "$tmp/view"
mount_view -s "$tmp/images" "$tmp/view"
same "$tmp/disk.raw" "$tmp/view/a.qcow2.raw"
