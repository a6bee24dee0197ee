#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image mounted on a folder is called after its file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/vm.qcow2"
mkdir "$tmp/view"
mount_view "$tmp/vm.qcow2" "$tmp/view"
[ "$(ls -A "$tmp/view")" = vm.qcow2.raw ] || fail "$(ls -A "$tmp/view")"
same "$tmp/disk.raw" "$tmp/view/vm.qcow2.raw"
[ ! -e "$tmp/view/vm.qcow2" ] || fail 'the name works without .raw'
