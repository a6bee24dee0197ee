#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Options of the library are understood in every way of writing.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
touch "$tmp/view" "$tmp/vi,ew"

shows_qcow2 ()
{
  mount_view "$@" "$tmp/disk.qcow2" "$tmp/view"
  same "$tmp/disk.raw" "$tmp/view"
  unmount_view "$tmp/view"
}
shows_qcow2 --format=qcow2
shows_qcow2 --format qcow2 --cache 1M
shows_qcow2 -o format=qcow2
shows_qcow2 -o noatime,format=qcow2,nosuid -o workers=2
shows_qcow2 -oformat=qcow2,

# raw shows the container: the option has reached the library.
for option in --format=raw '-o format=raw' '-o nosuid,format=raw'; do
  # shellcheck disable=SC2086
  mount_view $option "$tmp/disk.qcow2" "$tmp/view"
  same "$tmp/disk.qcow2" "$tmp/view"
  unmount_view "$tmp/view"
done

# Options may follow the arguments, as mount(8) calls it.
rawviewfs "$tmp/disk.qcow2" "$tmp/view" -o rw,format=qcow2 \
  --pid-file "$tmp/view.pid"
view_pid=$(cat "$tmp/view.pid")
cleanup_fn end_view "$tmp/view" "$view_pid"
same "$tmp/disk.raw" "$tmp/view"
unmount_view "$tmp/view"

# A comma in a value.
make_image qcow2 "$tmp/disk.raw" "$tmp/base,1.qcow2"
qemu-img create -q -f qcow2 -F qcow2 -b "$tmp/base,1.qcow2" "$tmp/top.qcow2"
mount_view -o "parent=$tmp/base\\,1.qcow2,nosuid" "$tmp/top.qcow2" "$tmp/view"
same "$tmp/disk.raw" "$tmp/view"
unmount_view "$tmp/view"

fails_with 2 rawviewfs
fails_with 2 rawviewfs "$tmp/disk.qcow2"
fails_with 2 rawviewfs a b c
fails_with 2 rawviewfs --no-such-option a b
fails_with 2 rawviewfs -Z a b
fails_with 2 rawviewfs --format
fails_with 2 rawviewfs -o format "$tmp/disk.qcow2" "$tmp/view"
fails_with 2 rawviewfs --format=vhdx "$tmp/disk.qcow2" "$tmp/view"
fails_with 2 rawviewfs --cache=1M -o cache=1M "$tmp/disk.qcow2" "$tmp/view"
fails_with 2 rawviewfs -o no_such_option "$tmp/disk.qcow2" "$tmp/view"
matches "$tmp/said" no_such_option
