#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks that were made to do harm: inspect ends soon, with little memory, says
# what is wrong in one line, and prints nothing that a terminal would obey.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
requires_inspect
requires python3 --version

cd "$tmp"

# refused_with STATUS REGEX IMAGE
refused_with ()
{
  local status=0

  timeout 60 rawview inspect --format=raw "$3" >out 2>said || status=$?
  [ "$status" -eq "$1" ] || fail "$3: status $status: $(cat said)"
  line_count said 1
  matches said "$2"
  [ ! -s out ] || fail "$3: output"
}

# Extended partitions that lead back to themselves, or to each other.
python3 - <<'PY'
import struct


def entry(kind, start, count):
    return struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), start, count)


def table(disk, sector, *entries):
    off = sector * 512
    data = b"".join(entries)
    disk[off + 446:off + 446 + len(data)] = data
    disk[off + 510:off + 512] = b"\x55\xaa"


for name, links in (("self", {2048: 0}), ("pair", {2048: 4096, 6144: 0}),
                    ("far", {2048: 0xffffffff})):
    disk = bytearray(16 << 20)
    table(disk, 0, entry(5, 2048, 30000))
    for at, to in links.items():
        table(disk, at, entry(0x83, 10, 100), entry(5, to, 20000))
    open(name + ".raw", "wb").write(disk)

# A chain of 2000.
disk = bytearray(16 << 20)
table(disk, 0, entry(15, 1, 32000))
for i in range(2000):
    table(disk, 1 + 16 * i, entry(0x83, 1, 8), entry(15, 16 * (i + 1), 15))
open("chain.raw", "wb").write(disk)
PY
for name in self pair far; do
  inspect --format=raw $name.raw
  finds '.disks[0].pttype == "dos" and
    (.disks[0].partitions | length >= 1 and length <= 256)' $name
done
refused_with 7 '^rawview: chain\.raw: the partition table has [0-9]+ partitions' \
  chain.raw

# A GPT with more entries than memory.
truncate -s 9G huge.raw
printf 'label: gpt\nsize=16M, type=U\n' | sfdisk -q huge.raw
python3 - <<'PY'
import struct
import zlib

with open("huge.raw", "r+b") as f:
    f.seek(512)
    header = bytearray(f.read(92))
    header[80:84] = struct.pack("<I", 0x1ffffff)
    header[16:20] = bytes(4)
    header[16:20] = struct.pack("<I", zlib.crc32(bytes(header)))
    f.seek(512)
    f.write(header)
PY
refused_with 7 '^rawview: huge\.raw: .* needs more than 64 MiB of memory$' \
  huge.raw
rm huge.raw

# More partitions than anybody has.
{
  printf 'label: gpt\ntable-length: 1024\n'
  printf 'size=1M\n%.0s' {1..257}
} >many
truncate -s 300M many.raw
sfdisk -q many.raw <many
refused_with 7 '^rawview: many\.raw: .* has 257 partitions, at most 256 ' \
  many.raw

# Partitions that begin or end beyond the disk, or cover each other.
partition beyond.raw 32 'label: dos' 'start=2048, size=8M, type=83' \
  'start=40960, size=8M, type=83' 'start=20480, size=1M, type=83'
make_ext4 ext4 8 here
put ext4 beyond.raw 1
put ext4 beyond.raw 20
truncate -s 24M beyond.raw
python3 - <<'PY'
import struct

with open("beyond.raw", "r+b") as f:
    f.seek(446 + 3 * 16)
    f.write(struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3),
                        0xfffffff0, 0xffffffff))
    f.seek(446 + 2 * 16)
    f.write(struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3),
                        2048, 0xffffffff))
PY
inspect --format=raw beyond.raw
finds '[.disks[0].partitions[].fstype] == ["ext4", "ext4", "ext4", null]' beyond
finds '.disks[0].partitions[3].size == 4294967295 * 512' beyond

# Text for a terminal.
make_ext4 label.raw 8 $'\e[31mred\a\t\xff\xe2\x80\xae'
inspect --format=raw label.raw
finds '.disks[0].partitions[0].label == "?[31mred? ??"' label
rawview inspect --format=raw label.raw >out
! grep -q $'[\e\a\xff]' out || fail 'the label came through'

# Two superblocks in one place are none.
make_ext4 two.raw 8 one
printf hsqs | dd of=two.raw conv=notrunc status=none
printf '\4\0\0\0' | dd of=two.raw bs=1 seek=28 conv=notrunc status=none
inspect --format=raw two.raw
finds '.disks[0].partitions[0] | has ("fstype") | not' 'two superblocks'

# Damage where the table is, and where a superblock is.
partition disk.raw 32 'label: dos' 'start=2048, size=16384, type=83' \
  'start=32768, size=16384, type=83'
put ext4 disk.raw 1
put ext4 disk.raw 16
make_image qcow2 disk.raw table.qcow2
cp table.qcow2 part.qcow2
damage_qcow2 table.qcow2 0
# What rawviewfs says of it comes before.
refused said rawview inspect table.qcow2
matches said '^rawview: table\.qcow2: reading the partition table: Input/output'
damage_qcow2 part.qcow2 256
refused said rawview inspect part.qcow2
matches said '^rawview: part\.qcow2: reading partition 2: Input/output'
