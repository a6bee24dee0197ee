#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A real ext4 in an overlay: what e2fsck discards because no file has it takes no
# space in the overlay any more, and the filesystem stays whole.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
PATH=$PATH:/usr/sbin:/sbin
requires_fuse
requires mkfs.ext4 -V
requires sh -c 'command -v debugfs'

cd "$tmp"
truncate -s 64M base.raw
touch view
seq 4000000 >large
seq 1000 >small

blocks () { echo $(( $(stat -c %b changes.qcow2) / 2 )); }
is_small () { [ "$(blocks)" -lt $(( full - 20000 )) ]; }

mount_view --format=raw --overlay="$tmp/changes.qcow2" "$tmp/base.raw" \
  "$tmp/view"
mkfs.ext4 -q -F -E nodiscard view
printf 'write large large\nwrite small small\n' | debugfs -w view \
  >debugfs.log 2>&1
sync view
full=$(blocks)
[ "$full" -ge 27000 ] || fail "only $full KiB were written"

debugfs -w -R 'rm large' view >>debugfs.log 2>&1
e2fsck -fy -E discard view >e2fsck.log 2>&1 || [ $? -eq 1 ] ||
  fail 'e2fsck is not content'
sync view
wait_until 20 is_small || fail "$(blocks) of $full KiB are left"

e2fsck -fn view >e2fsck.log 2>&1 || fail 'the filesystem is damaged'
debugfs -R 'cat small' view 2>/dev/null >found
same small found
unmount_view "$tmp/view"
is_clean qcow2 changes.qcow2
