#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A folder shows each of its images, and says which it skips.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

mkdir "$tmp/images" "$tmp/view"
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/web 1.qcow2"
make_image vmdk "$tmp/disk.raw" "$tmp/images/vm.vmdk"
printf 'QFI\373 and then nothing of sense' >"$tmp/images/bad.qcow2"

mount_view_in_foreground "$tmp/log" "$tmp/images" "$tmp/view"

cat >"$tmp/names" <<'NAMES'
vm.vmdk.raw
web 1.qcow2.raw
NAMES
for _ in 1 2 3; do
  ls -A "$tmp/view" >"$tmp/seen"
  same "$tmp/names" "$tmp/seen"
done
same "$tmp/disk.raw" "$tmp/view/vm.vmdk.raw"
same "$tmp/disk.raw" "$tmp/view/web 1.qcow2.raw"

line_count "$tmp/log" 1
matches "$tmp/log" '^rawviewfs: .*bad\.qcow2'
