#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# As root, the kernel reads 1 MiB ahead.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires test "$(id -u)" -eq 0
requires test -w /sys/class/bdi
requires mountpoint -d /
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
mkdir "$tmp/view"
mount_view "$tmp/disk.qcow2" "$tmp/view"
same "$tmp/disk.raw" "$tmp/view/disk.qcow2.raw"
bdi=/sys/class/bdi/$(mountpoint -d "$tmp/view")
requires test -r "$bdi/read_ahead_kb"
[ "$(cat "$bdi/read_ahead_kb")" = 1024 ] || fail "$(cat "$bdi/read_ahead_kb")"
