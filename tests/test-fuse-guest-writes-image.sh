#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# As test-plugin-guest-writes-image.sh, through the file of a mount.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-hostile.sh"
requires_fuse
make_secret
make_headers "$tmp/headers"
make_raw "$tmp/disk.raw"
touch "$tmp/view"
mkdir "$tmp/views"

# write_through [OPTION…] IMAGE: the header into the file, and into $model.
write_through ()
{
  mount_view "$@" "$tmp/view"
  put "$header" "$tmp/view"
  put "$header" "$model"
  unmount_view "$tmp/view"
}

# is_shown [OPTION…] IMAGE: mounted again, it has the bytes of $model.
is_shown ()
{
  "${unopened[@]}" rawviewfs --pid-file "$tmp/view.pid" "$@" "$tmp/view" \
    2>"$tmp/shown.log"
  view_pid=$(cat "$tmp/view.pid")
  cleanup_fn end_view "$tmp/view" "$view_pid"
  "${unopened[@]}" cmp "$model" "$tmp/view" || fail "wrong bytes: $*"
  unmount_view "$tmp/view"
}

for header in "$tmp/headers"/*; do
  begin_header "$header"

  cp "$tmp/disk.raw" "$model"
  cp "$tmp/disk.raw" "$dir/raw.img"
  write_through --rw --format=raw "$dir/raw.img"
  same "$model" "$dir/raw.img"
  is_shown --format=raw "$dir/raw.img"
  matches "$tmp/shown.log" "looks like $kind"
  # The second is far too large to be a text.
  case $kind in
    qcow2) status=6 reason="$secret.* is not opened" ;;
    *) status=7 reason='a descriptor of' ;;
  esac
  fails_with "$status" "${unopened[@]}" rawviewfs "$dir/raw.img" "$tmp/view"
  matches "$tmp/said" "$reason"

  cp "$tmp/disk.raw" "$model"
  cp "$tmp/disk.raw" "$dir/base.img"
  mkdir "$dir.overlays"
  write_through --format=raw --overlay-dir="$dir.overlays" "$dir/base.img"
  same "$tmp/disk.raw" "$dir/base.img"
  is_shown --format=raw --overlay-dir="$dir.overlays" "$dir/base.img"
  matches "$tmp/shown.log" "begins like a $kind image"

  cp "$tmp/disk.raw" "$model"
  make_image qcow2 "$tmp/disk.raw" "$dir/image.qcow2"
  write_through --rw "$dir/image.qcow2"
  is_shown "$dir/image.qcow2"
  matches "$tmp/shown.log" "begins like a $kind image"
  is_now qcow2 "$dir/image.qcow2" "$model"

  # In a folder, the raw disk that has become one is left out.
  "${unopened[@]}" rawviewfs --pid-file "$tmp/view.pid" "$dir" "$tmp/views" \
    2>"$tmp/shown.log"
  view_pid=$(cat "$tmp/view.pid")
  cleanup_fn end_view "$tmp/views" "$view_pid"
  "${unopened[@]}" cmp "$model" "$tmp/views/image.qcow2.raw"
  [ ! -e "$tmp/views/raw.img.raw" ] || fail 'a raw disk is shown as an image'
  unmount_view "$tmp/views"
done
