#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With --overlay and --overlay-dir writes go beside the images, which stay as
# they are.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse

make_raw "$tmp/disk.raw"
mkdir "$tmp/imports" "$tmp/changes" "$tmp/view" "$tmp/imports/inner"
make_image vmdk "$tmp/disk.raw" "$tmp/imports/stream.vmdk" \
  -o subformat=streamOptimized
make_image qcow2 "$tmp/disk.raw" "$tmp/imports/c.qcow2" -c
remember "$tmp"/imports/*.*
touch "$tmp/file"

# change FILE: and the same in expected.raw.
change ()
{
  cp "$tmp/disk.raw" "$tmp/expected.raw"
  for file in "$1" "$tmp/expected.raw"; do
    printf 'changed' | dd of="$file" bs=1 seek=70000 conv=notrunc status=none
    dd if="$tmp/disk.raw" of="$file" bs=64K seek=100 count=9 conv=notrunc \
      status=none
  done
  same "$tmp/expected.raw" "$1"
}

# One image.
mount_view --overlay="$tmp/one.qcow2" "$tmp/imports/stream.vmdk" "$tmp/file"
change "$tmp/file"
unmount_view "$tmp/file"
is_now qcow2 "$tmp/one.qcow2" "$tmp/expected.raw"
unchanged

# It is shown, and not written, with ro.
remember "$tmp"/imports/*.* "$tmp/one.qcow2"
mount_view -o ro --overlay="$tmp/one.qcow2" "$tmp/imports/stream.vmdk" \
  "$tmp/file"
same "$tmp/expected.raw" "$tmp/file"
! : 2>/dev/null >>"$tmp/file" || fail 'written with -o ro'
unmount_view "$tmp/file"
unchanged

# A folder; looking at it makes no overlays.
mount_view_in_foreground "$tmp/view.log" --overlay-dir="$tmp/changes" \
  "$tmp/imports" "$tmp/view"
ls -l "$tmp/view" >"$tmp/list"
line_count "$tmp/list" 3
[ -z "$(ls "$tmp/changes")" ] || fail 'there are overlays already'
change "$tmp/view/stream.vmdk.raw"
change "$tmp/view/c.qcow2.raw"
same "$tmp/expected.raw" "$tmp/view/stream.vmdk.raw"
line_count "$tmp/view.log" 0
unmount_view "$tmp/view"
is_now qcow2 "$tmp/changes/stream.vmdk.overlay.qcow2" "$tmp/expected.raw"
is_now qcow2 "$tmp/changes/c.qcow2.overlay.qcow2" "$tmp/expected.raw"
unchanged

# Not where the mount would wait for itself, nor with --rw.
fails_with 2 rawviewfs --overlay-dir="$tmp/view" "$tmp/imports" "$tmp/view"
mkdir "$tmp/view/in" "$tmp/changes/in"
fails_with 2 rawviewfs --overlay-dir="$tmp/view/in" "$tmp/imports" "$tmp/view"
fails_with 2 rawviewfs --overlay-dir="$tmp/changes" "$tmp/imports" \
  "$tmp/changes/in"
fails_with 2 rawviewfs --overlay="$tmp/view/in/a" "$tmp/imports/c.qcow2" \
  "$tmp/view"
fails_with 2 rawviewfs --overlay="$tmp/one.qcow2" "$tmp/imports/c.qcow2" \
  "$tmp/one.qcow2"
fails_with 2 rawviewfs --rw --overlay="$tmp/a" "$tmp/imports/c.qcow2" \
  "$tmp/file"
fails_with 2 rawviewfs --rw -o ro "$tmp/imports/c.qcow2" "$tmp/file"
