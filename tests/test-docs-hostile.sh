#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# docs/hostile.md names recipes that are there, and QEMU 7.2 does to those images
# what it says.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'

"$RAWVIEW_SRCDIR/tests/qemu-differs" --names
requires sh -c 'qemu-img --version | grep -q " 7\.2\."'
"$RAWVIEW_SRCDIR/tests/qemu-differs" >"$tmp/said.log" ||
  fail "$(cat "$tmp/said.log")"

# A write where there is no table.
mkimage read-vmdk-no-grain-table "$tmp/a"
qemu-io -f vmdk -c 'write -P 65 2m 64k' "$tmp/a/disk.vmdk" >"$tmp/said" 2>&1 ||
  : it says that it failed
[ "$(head -c 4 "$tmp/a/disk.vmdk")" = AAAA ] || fail 'QEMU kept the header'

# One into a grain that lies in the directory.
mkimage bad-vmdk-grain-in-directory-twice "$tmp/b"
cp "$tmp/b/disk.vmdk" "$tmp/before"
qemu-io -f vmdk -c 'write -P 65 128k 512' "$tmp/b/disk.vmdk" >"$tmp/said"
# Of a header, by its 8 bytes at 56: the directory's sector.
gd=$(od -An -t u8 -j 56 -N 8 "$tmp/before" | tr -d ' ')
if cmp -s -i $(( gd * 512 )) -n 4 "$tmp/before" "$tmp/b/disk.vmdk"; then
  fail 'QEMU kept the directory'
fi
