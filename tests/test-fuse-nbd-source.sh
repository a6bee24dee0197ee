#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A container on an NBD server can be shown.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires nbdkit file --version
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c
touch "$tmp/view"
start_nbdkit -P "$tmp/nbdkit.pid" -r -U "$tmp/sock" file "$tmp/disk.qcow2"
mount_view --format=qcow2 "nbd+unix:///?socket=$tmp/sock" "$tmp/view"
same "$tmp/disk.raw" "$tmp/view"
unmount_view "$tmp/view"

# On a folder it has some name, of a file.
mkdir "$tmp/folder"
mount_view "nbd+unix:///?socket=$tmp/sock" "$tmp/folder"
ls "$tmp/folder" >"$tmp/names"
line_count "$tmp/names" 1
matches "$tmp/names" '\.raw$'
same "$tmp/disk.raw" "$tmp/folder/$(cat "$tmp/names")"
# Without blocks, tar -S would take the disk for one hole.
[ "$(stat -c %b "$tmp/folder/$(cat "$tmp/names")")" -gt 0 ] ||
  fail 'it has no blocks'
unmount_view "$tmp/folder"

fails_with 1 rawviewfs "nbd+unix:///?socket=$tmp/none" "$tmp/view"
