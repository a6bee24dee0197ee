#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Size, mode, times, inodes and statfs are those of a disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2"
make_image vmdk "$tmp/disk.raw" "$tmp/images/b.vmdk"
touch -d '2001-02-03 04:05:06.789 UTC' "$tmp/images/a.qcow2"
mount_view "$tmp/images" "$tmp/view"

file=$tmp/view/a.qcow2.raw
is () { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }
is size "$(stat -c %s "$file")" $(( 12 << 20 ))
is mode "$(stat -c %A "$file")" -r--r--r--
is 'mode of the folder' "$(stat -c %A "$tmp/view")" dr-xr-xr-x
is owner "$(stat -c %u:%g "$file")" "$(id -u):$(id -g)"
is mtime "$(stat -c %.3Y "$file")" 981173106.789
is links "$(stat -c %h "$file")" 1

before=$(stat -c %i "$file" "$tmp/view/b.vmdk.raw")
sleep 1.2
is 'inode numbers' "$(stat -c %i "$file" "$tmp/view/b.vmdk.raw")" "$before"
# shellcheck disable=SC2012
is 'inode numbers of ls' "$(ls -i "$tmp/view" | awk '{ print $1 }')" "$before"

is 'size of the filesystem' \
  $(( $(stat -f -c '%b * %S' "$tmp/view") )) $(( 24 << 20 ))
is 'free space' "$(stat -f -c %a "$tmp/view")" 0
awk -v path="$tmp/view" -v source="$tmp/images" '
  $2 == path && $1 == source && $3 == "fuse.rawviewfs" { found = 1 }
  END { exit !found }' /proc/self/mounts || fail "$(cat /proc/self/mounts)"
