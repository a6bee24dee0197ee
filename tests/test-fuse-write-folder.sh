#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --rw on a folder: what can be written is, what cannot stays a read-only file
# with one line in the log.  A single image that cannot be written is refused.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires qemu-io --version

make_raw "$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image vmdk "$tmp/disk.raw" "$tmp/images/stream.vmdk" \
  -o subformat=streamOptimized
make_image vmdk "$tmp/disk.raw" "$tmp/images/split.vmdk" \
  -o subformat=twoGbMaxExtentSparse
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2"
remember "$tmp/images/stream.vmdk"

mount_view_in_foreground "$tmp/view.log" --rw "$tmp/images" "$tmp/view"
[ "$(cd "$tmp/view" && stat -c '%a %n' ./*.raw)" = \
  "644 ./a.qcow2.raw
644 ./split.vmdk.raw
444 ./stream.vmdk.raw" ] || fail "modes: $(ls -l "$tmp/view")"
! : 2>/dev/null >>"$tmp/view/stream.vmdk.raw" || fail 'it was opened'
! : 2>/dev/null >>"$tmp/view/stream.vmdk.raw" || fail 'it was opened'
line_count "$tmp/view.log" 1
matches "$tmp/view.log" 'stream\.vmdk\.raw is read-only: .*overlay'

# Looking leaves no locks behind, writing does while it lasts.
qemu-img info -f qcow2 "$tmp/images/a.qcow2" >"$tmp/info"
is_free () { qemu-io -c 'write -z 9M 512' "$tmp/images/$1" >"$tmp/said" 2>&1; }
for name in a.qcow2 split.vmdk; do
  exec 5<>"$tmp/view/$name.raw"
  printf 'first' >&5
  ls -l "$tmp/view" >/dev/null
  sleep 1.1
  ls -l "$tmp/view" >/dev/null
  printf 'second' >&5
  refused "$tmp/said" qemu-img info "$tmp/images/$name"
  exec 5>&-
  wait_until 10 is_free "$name" || fail "locked: $(cat "$tmp/said")"
done
sleep 1.1
ls -l "$tmp/view" >/dev/null
line_count "$tmp/view.log" 1
cp "$tmp/disk.raw" "$tmp/expected.raw"
dd if=/dev/zero of="$tmp/expected.raw" bs=512 seek=18432 count=1 conv=notrunc \
  status=none
printf 'firstsecond' | dd of="$tmp/expected.raw" conv=notrunc status=none
for name in a.qcow2 split.vmdk; do
  same "$tmp/expected.raw" "$tmp/view/$name.raw"
done
unmount_view "$tmp/view"
is_now qcow2 "$tmp/images/a.qcow2" "$tmp/expected.raw"
is_now vmdk "$tmp/images/split.vmdk" "$tmp/expected.raw"
unchanged

touch "$tmp/file"
status=0
rawviewfs --rw "$tmp/images/stream.vmdk" "$tmp/file" 2>"$tmp/said" || status=$?
[ "$status" -eq 4 ] || [ "$status" -eq 6 ] || fail "status $status"
line_count "$tmp/said" 1
matches "$tmp/said" 'stream\.vmdk: .*overlay'
is_not_mounted "$tmp/file" || fail 'mounted'
