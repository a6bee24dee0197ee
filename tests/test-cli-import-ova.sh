#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest of two disks in an OVA: each goes to its own destination, in the order
# of the machine, and the domain that is written is one that libvirt accepts.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires qemu-img --version
requires virt-xml-validate --version
cd "$tmp"
use_run_dir
use_stand_in
make_raw system.raw
truncate -s 8M data.raw
printf 'data' | dd of=data.raw bs=1M seek=4 conv=notrunc status=none
mkdir vm to
make_image vmdk system.raw vm/system.vmdk -o subformat=streamOptimized
make_image vmdk data.raw vm/data.vmdk -o subformat=streamOptimized
# disk N CONTROLLER-ADDRESS ID
disk ()
{
  cat <<ITEM
      <Item><rasd:AddressOnParent>$1</rasd:AddressOnParent>
        <rasd:HostResource>ovf:/disk/d$1</rasd:HostResource>
        <rasd:InstanceID>1$1</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
ITEM
}
cat >vm/vm.ovf <<OVF
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References>
    <File ovf:id="f0" ovf:href="system.vmdk"/>
    <File ovf:id="f1" ovf:href="data.vmdk"/>
  </References>
  <DiskSection>
    <Info>disks</Info>
    <Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="8388608"/>
    <Disk ovf:diskId="d0" ovf:fileRef="f0" ovf:capacity="12582912"/>
  </DiskSection>
  <VirtualSystem ovf:id="it">
    <Info>a machine</Info>
    <Name>web server</Name>
    <VirtualHardwareSection>
      <Info>hardware</Info>
      <Item><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceType>6</rasd:ResourceType></Item>
$(disk 0)
$(disk 1)
      <Item><rasd:Connection>VM Network</rasd:Connection>
        <rasd:InstanceID>20</rasd:InstanceID>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
OVF
(cd vm && tar --format=ustar -cf ../vm.ova vm.ovf data.vmdk system.vmdk)
sha256sum vm.ova >sums
cp system.raw system.expected
cp data.raw data.expected
injected 1 system.expected
injected 2 data.expected

rawview import vm.ova --conversion=format,virtio --to to,format=qcow2 \
  --output-xml web.xml --network 'VM Network:guests' >plan 2>err ||
  fail "status $?: $(cat err)"
matches plan '^guest: web server$'
for disk in system data; do
  qemu-img compare -q -f raw -F qcow2 $disk.expected to/$disk.qcow2 ||
    fail "$disk.qcow2 differs"
done
has_no_leftovers to system.qcow2 data.qcow2
sha256sum --quiet -c sums

virt-xml-validate web.xml domain >valid 2>&1 || fail "$(cat valid)"
matches web.xml '<name>web server</name>'
matches web.xml "file=['\"]$tmp/to/system\.qcow2['\"]"
matches web.xml "network=['\"]guests['\"]"
matches web.xml "bus=['\"]virtio['\"]"
[ "$(grep -n 'system.qcow2' web.xml | cut -d: -f1)" -lt \
  "$(grep -n 'data.qcow2' web.xml | cut -d: -f1)" ] || fail 'the order is wrong'

# Drivers are not assumed of a guest that has not got them.
rawview import vm.ova --to system.copy --to data.copy --output-xml plain.xml \
  --bridge br0 --name plain >plan
same system.raw system.copy
same data.raw data.copy
virt-xml-validate plain.xml domain >valid 2>&1 || fail "$(cat valid)"
matches plain.xml '<name>plain</name>'
matches plain.xml "bridge=['\"]br0['\"]"
! grep -q "bus=['\"]virtio['\"]" plain.xml || fail 'it has virtio disks'

# A part of an archive is no file.
refused err rawview import vm.ova --conversion=none --to to/x --to to/y
matches err 'is a part of this file'
