#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fallocate(2) punches holes and zeroes ranges; holes give space back.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires fallocate --version
touch "$tmp/view"
dd if=/dev/urandom of="$tmp/disk.raw" bs=1M count=16 status=none

# both ARG…: fallocate on the view and on the raw file.
both ()
{
  fallocate "$@" "$tmp/view"
  fallocate "$@" "$tmp/expected.raw"
  same "$tmp/expected.raw" "$tmp/view"
}

refuses ()
{
  refused "$tmp/said" fallocate "$@" "$tmp/view"
  matches "$tmp/said" 'not supported|unsupported|No space left'
}

for format in qcow2 vmdk; do
  image=$tmp/disk.$format
  cp "$tmp/disk.raw" "$tmp/expected.raw"
  make_image "$format" "$tmp/disk.raw" "$image"
  before=$(stat -c %b "$image")

  mount_view --rw "$image" "$tmp/view"
  both -p -o 0 -l 3M
  both -p -o 3333333 -l 777
  both -p -o 4100000 -l 2100000
  both -z -n -o 7M -l 1M
  both -z -n -o 8888888 -l 1
  both -p -o 10M -l 6M
  fallocate -p -o 15M -l 100M "$tmp/view"
  fallocate -z -n -o 15M -l 100M "$tmp/view"
  refuses -o 0 -l 1M
  refuses -n -o 0 -l 1M
  refuses -z -o 15M -l 2M
  refuses -c -o 0 -l 1M
  refuses -i -o 0 -l 1M
  sync "$tmp/view"
  sync "$tmp/view"
  for file in "$tmp/view" "$tmp/expected.raw"; do
    printf 'once more' | dd of="$file" bs=1 seek=11M conv=notrunc status=none
  done
  same "$tmp/expected.raw" "$tmp/view"
  unmount_view "$tmp/view"
  is_now "$format" "$image" "$tmp/expected.raw"
  after=$(stat -c %b "$image")
  [ "$format" != qcow2 ] || [ $(( before - after )) -gt $(( 5 * 2048 )) ] ||
    fail "$image: $before blocks before, $after after"
done
