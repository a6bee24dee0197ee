#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# inspect finds the partitions that sfdisk finds, and in each what blkid finds,
# in every format of image.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
requires_inspect
requires blkid --version
requires qemu-img --version
requires mkfs.vfat --help

cat >"$tmp/compare.py" <<'PY'
import json
import subprocess
import sys


def blkid(raw, start, size, name):
    r = subprocess.run(["blkid", "-p", "-c", "/dev/null", "-O", str(start), "-S",
                        str(size), "-o", "value", "-s", name, raw],
                       stdout=subprocess.PIPE, universal_newlines=True)
    return r.stdout.rstrip("\n") or None


def parttype(text):
    return text.lower() if "-" in text else "0x" + text.lower()


found = json.load(open(sys.argv[1]))
raw = sys.argv[2]
table = json.loads(subprocess.check_output(["sfdisk", "--json", raw]))
table = table["partitiontable"]
expected = []
for p in table["partitions"]:
    start, size = p["start"] * 512, p["size"] * 512
    item = {"partn": int(p["node"][len(raw):]), "start": start, "size": size,
            "parttype": parttype(p["type"])}
    if p["type"].lower() not in ("5", "f", "85"):
        for key, name in (("fstype", "TYPE"), ("label", "LABEL"),
                          ("uuid", "UUID")):
            value = blkid(raw, start, size, name)
            if value is not None:
                item[key] = value
    expected.append(item)
disk = found["disks"][0]
if disk["pttype"] != table["label"]:
    sys.exit("pttype: %r, not %r" % (disk["pttype"], table["label"]))
got = [{k: v for k, v in p.items() if k not in ("encrypted", "esp")}
       for p in disk["partitions"]]
if got != expected:
    sys.exit("%s\nis not\n%s" % (json.dumps(got, indent=1),
                                 json.dumps(expected, indent=1)))
if not any("fstype" in p for p in expected):
    sys.exit("the test has no file system")
PY

# agree IMAGE [OPTION…]
agree ()
{
  inspect "$@"
  python3 "$tmp/compare.py" "$tmp/found.json" "$tmp/disk.raw" ||
    fail "$*: see above"
}

in_all_formats ()
{
  local type

  agree "$tmp/disk.raw" --format=raw
  make_image qcow2 "$tmp/disk.raw" "$tmp/a.qcow2" -c
  agree "$tmp/a.qcow2"
  for type in monolithicSparse monolithicFlat twoGbMaxExtentSparse \
    streamOptimized; do
    make_image vmdk "$tmp/disk.raw" "$tmp/$type.vmdk" -o "subformat=$type"
    agree "$tmp/$type.vmdk"
  done
}

make_ext4 "$tmp/ext4" 8 'my root'
make_ntfs "$tmp/ntfs" 8 'Daten für mich'
truncate -s 8M "$tmp/swap"
mkswap -q -L swapped "$tmp/swap"
truncate -s 8M "$tmp/vfat"
mkfs.vfat -n EFI "$tmp/vfat" >/dev/null

# Primary and logical partitions, one of them empty.
partition "$tmp/disk.raw" 64 'label: dos' 'start=2048, size=16384, type=83' \
  'size=16384, type=7' 'size=60000, type=5' 'size=16384, type=82' \
  'size=16384, type=83'
sfdisk --json "$tmp/disk.raw" >"$tmp/table.json"
for i in 0:ext4 1:ntfs 3:swap; do
  start=$(jq ".partitiontable.partitions[${i%:*}].start" "$tmp/table.json")
  dd if="$tmp/${i#*:}" of="$tmp/disk.raw" seek="$start" conv=notrunc status=none
done
in_all_formats
finds '[.disks[].partitions[].fstype] == ["ext4","ntfs",null,"swap",null]' dos
finds '.disks[0]["virtual-size"] == 67108864' dos

partition "$tmp/disk.raw" 64 'label: gpt' 'start=2048, size=16384, type=U' \
  'size=16384, type=L' 'start=65536, size=16384, type=L'
put "$tmp/vfat" "$tmp/disk.raw" 1
put "$tmp/ext4" "$tmp/disk.raw" 9
put "$tmp/swap" "$tmp/disk.raw" 32
in_all_formats
finds '[.disks[].partitions[].fstype] == ["vfat","ext4","swap"]' gpt
finds '[.disks[].partitions[].esp] == [true,false,false]' gpt

# With sectors of 4096 bytes, which sfdisk cannot be told of.
truncate -s 0 "$tmp/disk.raw"
truncate -s 64M "$tmp/disk.raw"
printf 'g\nn\n1\n\n+8M\nt\n1\nn\n2\n\n+8M\nw\n' |
  fdisk -b 4096 "$tmp/disk.raw" >"$tmp/fdisk.log" 2>&1
put "$tmp/vfat" "$tmp/disk.raw" 1
put "$tmp/ext4" "$tmp/disk.raw" 9
inspect --format=raw "$tmp/disk.raw"
finds '[.disks[].partitions[] | [.start, .size, .fstype]] ==
  [[1048576, 8388608, "vfat"], [9437184, 8388608, "ext4"]]' '4096'
finds '.firmware == "uefi" and .disks[0].pttype == "gpt"' '4096'
