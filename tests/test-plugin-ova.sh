#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An OVA serves its disks by their names, or the one that disk= says.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version
requires tar --version

make_raw "$tmp/one.raw"
make_raw "$tmp/two.raw"
for name in one two; do
  make_image vmdk "$tmp/$name.raw" "$tmp/vm-$name.vmdk" \
    -o subformat=streamOptimized
done
cat >"$tmp/vm.ovf" <<'XML'
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:href="vm-one.vmdk" ovf:id="file1"/>
    <File ovf:href="vm-two.vmdk" ovf:id="file2"/>
  </References>
  <DiskSection>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="12582912"/>
    <Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="12582912"/>
  </DiskSection>
</Envelope>
XML
mkdir "$tmp/dir"
tar -C "$tmp" --format=ustar -cf "$tmp/dir/vm.ova" \
  vm.ovf vm-one.vmdk vm-two.vmdk

names ()
{
  nbdinfo --list "$uri" >"$tmp/list"
  sed -n 's/^export="\(.*\)":$/\1/p' "$tmp/list" | tr '\n' ' '
}

serve "$tmp/dir/vm.ova"
[ "$(names)" = 'vm-one.vmdk vm-two.vmdk ' ] || fail "wrong names: $(names)"
reads_as "$uri" "$tmp/one.raw"
reads_as "$(uri_of vm-one.vmdk)" "$tmp/one.raw"
reads_as "$(uri_of vm-two.vmdk)" "$tmp/two.raw"

serve "$tmp/dir/vm.ova" disk=2
reads_as "$uri" "$tmp/two.raw"

serve "export=a:$tmp/dir/vm.ova" disk=vm-two.vmdk \
      "export=b:$tmp/dir/vm.ova" disk=1
reads_as "$(uri_of a)" "$tmp/two.raw"
reads_as "$(uri_of b)" "$tmp/one.raw"

serve "dir=$tmp/dir"
[ "$(names)" = 'vm.ova:vm-one.vmdk vm.ova:vm-two.vmdk ' ] ||
  fail "wrong names: $(names)"
reads_as "$(uri_of vm.ova:vm-two.vmdk)" "$tmp/two.raw"

# One name for two disks needs to be told which.
refused "$tmp/said" nbdkit -U - rawview "export=a:$tmp/dir/vm.ova" --run true
line_count "$tmp/said" 1
matches "$tmp/said" 'disk='
