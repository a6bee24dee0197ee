#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# info of an appliance with several disks lists them; with one, or with --disk,
# it shows that disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
for i in 1 2; do
  make_image vmdk disk.raw "vm-disk$i.vmdk" -o subformat=streamOptimized
done
truncate -s 4M small.raw
make_image vmdk small.raw vm-disk2.vmdk -o subformat=streamOptimized
cat >vm.ovf <<'OVF'
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:id="file1" ovf:href="vm-disk1.vmdk"/>
    <File ovf:id="file2" ovf:href="vm-disk2.vmdk"/>
  </References>
</Envelope>
OVF
tar --format=ustar -cf two.ova vm.ovf vm-disk1.vmdk vm-disk2.vmdk
grep -v file2 vm.ovf >one.ovf
tar --format=ustar -cf one.ova one.ovf vm-disk1.vmdk

rawview info --json two.ova >two.json
python3 - <<'PY'
import json
ova = json.load(open("two.json"))
assert ova["format"] == "ova" and ova["filename"] == "two.ova", ova
assert [d["virtual-size"] >> 20 for d in ova["disks"]] == [12, 4], ova
assert [d["format"] for d in ova["disks"]] == ["vmdk", "vmdk"], ova
assert len({d["name"] for d in ova["disks"]}) == 2, ova
PY

rawview info two.ova >two.txt
matches two.txt '^disks: 2$'
matches two.txt '^disk: .*vm-disk2\.vmdk$'
matches two.txt '^virtual size: 4 MiB \(4194304 bytes\)$'

rawview info --json --disk=2 two.ova >second.json
rawview info --json one.ova >one.json
python3 - <<'PY'
import json
assert json.load(open("second.json"))["virtual-size"] == 4 << 20
assert json.load(open("one.json"))["virtual-size"] == 12 << 20
PY

# What takes one disk says that it has to be told which, and does not guess.
refused err rawview copy two.ova out.raw
line_count err 1
matches err 'disk'
[ ! -e out.raw ] || fail 'out.raw was created'
rawview copy --disk=1 two.ova out.raw
same disk.raw out.raw
