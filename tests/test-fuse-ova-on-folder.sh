#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An OVA mounted on a folder has one file for each disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires tar --version
make_raw "$tmp/one.raw"
truncate -s 3M "$tmp/two.raw"
printf 'second disk' | dd of="$tmp/two.raw" conv=notrunc status=none

mkdir "$tmp/ova" "$tmp/view"
for disk in one two; do
  make_image vmdk "$tmp/$disk.raw" "$tmp/ova/$disk.vmdk" \
    -o subformat=streamOptimized
done
cat >"$tmp/ova/vm.ovf" <<'OVF'
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:href="one.vmdk" ovf:id="file1"/>
    <File ovf:href="two.vmdk" ovf:id="file2"/>
  </References>
  <DiskSection>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1"/>
    <Disk ovf:diskId="disk2" ovf:fileRef="file2"/>
  </DiskSection>
</Envelope>
OVF
tar -C "$tmp/ova" --format=ustar -cf "$tmp/vm.ova" vm.ovf one.vmdk two.vmdk

mount_view "$tmp/vm.ova" "$tmp/view"
ls "$tmp/view" >"$tmp/names"
line_count "$tmp/names" 2
same "$tmp/one.raw" "$tmp/view/one.vmdk.raw"
same "$tmp/two.raw" "$tmp/view/two.vmdk.raw"
# Without blocks, tar -S would take the disk for one hole.
[ "$(stat -c %b "$tmp/view/two.vmdk.raw")" -gt 0 ] || fail 'it has no blocks'
unmount_view "$tmp/view"

touch "$tmp/file"
fails_with 2 rawviewfs "$tmp/vm.ova" "$tmp/file"
mount_view --disk=2 "$tmp/vm.ova" "$tmp/file"
same "$tmp/two.raw" "$tmp/file"
