#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# cp and du see a sparse file, and a copy stays as small.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

truncate -s 256M "$tmp/disk.raw"
dd if=/dev/urandom of="$tmp/disk.raw" bs=64K seek=1000 count=16 conv=notrunc \
  status=none
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
touch "$tmp/view"
mount_view "$tmp/disk.qcow2" "$tmp/view"

[ "$(stat -c %s "$tmp/view")" -eq $(( 256 << 20 )) ] || fail 'wrong size'
kib=$(du -k "$tmp/view" | cut -f 1)
(( kib >= 1024 && kib <= 4096 )) || fail "du says $kib KiB"

cp --sparse=auto "$tmp/view" "$tmp/copy"
same "$tmp/disk.raw" "$tmp/copy"
kib=$(du -k "$tmp/copy" | cut -f 1)
(( kib <= 4096 )) || fail "the copy takes $kib KiB"
