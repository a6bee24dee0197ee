#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file under an old name is not mixed up with cached pages.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

mkdir "$tmp/images" "$tmp/view"
for i in old new; do
  dd if=/dev/urandom of="$tmp/$i.raw" bs=1M count=2 status=none
  make_image qcow2 "$tmp/$i.raw" "$tmp/$i.qcow2"
done
cp "$tmp/old.qcow2" "$tmp/images/same-time.qcow2"
cp "$tmp/new.qcow2" "$tmp/same-time.qcow2"
touch -r "$tmp/images/same-time.qcow2" "$tmp/same-time.qcow2"

mv "$tmp/old.qcow2" "$tmp/images/vm.qcow2"
mount_view "$tmp/images" "$tmp/view"
same "$tmp/old.raw" "$tmp/view/vm.qcow2.raw"

# Somebody keeps the old one open across the change, and goes on reading it.
exec 5<"$tmp/view/vm.qcow2.raw"
head -c 100 <&5 >"$tmp/first"
mv "$tmp/new.qcow2" "$tmp/images/vm.qcow2"
sleep 1.1
same "$tmp/new.raw" "$tmp/view/vm.qcow2.raw"
cat "$tmp/first" - <&5 | cmp - "$tmp/old.raw" || fail 'the open file changed'
exec 5<&-
same "$tmp/new.raw" "$tmp/view/vm.qcow2.raw"

# While nobody has it open, and with the same size and time.
same "$tmp/old.raw" "$tmp/view/same-time.qcow2.raw"
mv "$tmp/same-time.qcow2" "$tmp/images"
same "$tmp/new.raw" "$tmp/view/same-time.qcow2.raw"
