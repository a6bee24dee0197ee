#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest of an OVA: its OVF says what machine it is and which member is which
# disk; so does an OVF or VMX file beside its disks, which may name no others.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

machinecheck=$RAWVIEW_BUILDDIR/tests/machinecheck
requires test -x "$machinecheck"
requires qemu-img --version
cd "$tmp"

make_raw data.raw
truncate -s 3M system.raw
printf 'first' | dd of=system.raw conv=notrunc status=none
mkdir vm
make_image vmdk data.raw 'vm/my data.vmdk' -o subformat=streamOptimized
make_image vmdk system.raw vm/system.vmdk -o subformat=streamOptimized

# The archive has the disks in another order than the machine.
cat >vm/vm.ovf <<'OVF'
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="file1" ovf:href="my%20data.vmdk"/>
    <File ovf:id="file2" ovf:href="system.vmdk"/>
  </References>
  <DiskSection>
    <Info>disks</Info>
    <Disk ovf:diskId="d1" ovf:fileRef="file1" ovf:capacity="12582912"/>
    <Disk ovf:diskId="d2" ovf:fileRef="file2" ovf:capacity="3145728"/>
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
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent>
        <rasd:HostResource>ovf:/disk/d1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:HostResource>ovf:/disk/d2</rasd:HostResource>
        <rasd:InstanceID>5</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:Connection>VM Network</rasd:Connection>
        <rasd:InstanceID>6</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
OVF
(cd vm && tar --format=ustar -cf ../vm.ova vm.ovf 'my data.vmdk' system.vmdk)

described ()
{
  matches "$1" '^name: web server$'
  matches "$1" '^memory: 1073741824$'
  matches "$1" '^cpus: 2$'
  matches "$1" '^firmware: uefi$'
  matches "$1" '^nic: VM Network - E1000$'
}

mkdir out
"$machinecheck" copy=out vm.ova >ova
described ova
sed -n 's/^disk: \(.*\) scsi \([0-9]*\) .*/\1 \2/p' ova >disks
printf 'system.vmdk 3145728\nmy data.vmdk 12582912\n' | cmp - disks ||
  fail "wrong disks: $(cat ova)"
same data.raw 'out/my data.vmdk'
same system.raw out/system.vmdk

# The same beside its disks.
mkdir out-ovf
"$machinecheck" copy=out-ovf vm/vm.ovf >ovf
described ovf
matches ovf "^disk: system\\.vmdk scsi 3145728 $tmp/vm/system\\.vmdk\$"
same data.raw 'out-ovf/my data.vmdk'

# One disk of it, as the user says.
"$machinecheck" set=disk=1 vm.ova >chosen
described chosen
matches chosen '^disk: my data\.vmdk scsi 12582912 .* disk=my data\.vmdk$'
[ "$(grep -c '^disk:' chosen)" -eq 1 ] || fail 'more than one disk'

# Without hardware in it, or without a description, it is the disks there are.
(cd vm && tar --format=ustar -cf ../plain.ova 'my data.vmdk' system.vmdk)
"$machinecheck" plain.ova >plain
matches plain '^name: plain$'
[ "$(grep -c '^disk:' plain)" -eq 2 ] || fail "two disks: $(cat plain)"

# Names that lead out of the folder or archive.
for href in ../data.raw /etc/passwd https://localhost/disk.vmdk; do
  sed "s,system\\.vmdk,$href," vm/vm.ovf >vm/bad.ovf
  refused err "$machinecheck" vm/bad.ovf
  matches err 'refused: .*bad\.ovf: its disk .* is not opened'
  (cd vm && tar --format=ustar -cf ../bad.ova bad.ovf 'my data.vmdk')
  refused err "$machinecheck" bad.ova
  matches err 'not one of the VMDK disks in the archive'
done
ln -s ../system.raw vm/link.vmdk
sed 's/system\.vmdk/link.vmdk/' vm/vm.ovf >vm/bad.ovf
refused err "$machinecheck" vm/bad.ovf
matches err 'link\.vmdk'

# Hostile XML costs nothing.
{
  printf '<!DOCTYPE Envelope [<!ENTITY a "0123456789">\n'
  for (( i = 1; i < 30; i++ )); do
    printf '<!ENTITY a%d "' "$i"
    printf "&a$(( i - 1 ));%.0s" {1..10}
    printf '">\n'
  done
  printf ']><Envelope>&a29;</Envelope>\n'
} >vm/bad.ovf
refused err "$machinecheck" vm/bad.ovf
matches err 'refused: .*document type'

# VMX: disks beside it, and none elsewhere.
cat >vm/vm.vmx <<'VMX'
.encoding = "UTF-8"
displayName = "by vmx"
memSize = "512"
scsi0.present = "TRUE"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "system.vmdk"
sata0:0.present = "TRUE"
sata0:0.fileName = "/vmfs/volumes/datastore/vm/my data.vmdk"
sata0:1.present = "TRUE"
sata0:1.deviceType = "cdrom-image"
sata0:1.fileName = "/usr/lib/vmware/isoimages/linux.iso"
VMX
mkdir out-vmx
"$machinecheck" copy=out-vmx vm/vm.vmx >vmx
matches vmx '^name: by vmx$'
matches vmx '^memory: 536870912$'
matches vmx '^firmware: bios$'
matches vmx '^disk: system\.vmdk scsi 3145728 '
matches vmx '^disk: my data\.vmdk sata 12582912 '
same data.raw 'out-vmx/my data.vmdk'
same system.raw out-vmx/system.vmdk

mkdir elsewhere
cp vm/system.vmdk elsewhere
sed 's,"system\.vmdk","../elsewhere/system.vmdk",' vm/vm.vmx >vm/bad.vmx
refused err "$machinecheck" vm/bad.vmx
matches err 'refused: .*bad\.vmx: its disk .*outside the folders allowed'
"$machinecheck" set=references=same-directory "set=references=$tmp/elsewhere" \
  vm/bad.vmx >allowed
matches allowed "^disk: system\\.vmdk scsi 3145728 $tmp/elsewhere/system\\.vmdk\$"

# With a snapshot it names the newest state, which has its parent beside it.
make_image vmdk data.raw vm/base.vmdk
(cd vm && qemu-img create -q -f vmdk -F vmdk -b base.vmdk base-000001.vmdk)
qemu-io -f vmdk -c 'write -P 7 64k 64k' vm/base-000001.vmdk >qemu-io.log
qemu-img convert -f vmdk -O raw vm/base-000001.vmdk newest.raw
! cmp -s newest.raw data.raw || fail 'the snapshot has no changes'
cat >vm/snapshot.vmx <<'VMX'
scsi0:0.present = "TRUE"
scsi0:0.fileName = "base-000001.vmdk"
VMX
mkdir out-snapshot
"$machinecheck" copy=out-snapshot vm/snapshot.vmx >snapshot
matches snapshot '^name: snapshot$'
same newest.raw out-snapshot/base-000001.vmdk
