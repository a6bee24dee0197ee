#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What follows from the partitions: the system, how it boots, whether a part of
# it is encrypted.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
requires_inspect
requires python3 --version

# verdict SYSTEM FIRMWARE ENCRYPTED IMAGE…
verdict ()
{
  local system=$1 firmware=$2 encrypted=$3

  shift 3
  inspect --format=raw "$@"
  finds "[.system, .firmware, .encrypted] ==
    [\"$system\", \"$firmware\", $encrypted]" "$*"
}

cd "$tmp"
make_ext4 ext4 8 root
make_ntfs ntfs 8 Windows
make_luks luks 8
make_bitlocker bitlocker
truncate -s 8M swap
mkswap -q swap
truncate -s 8M empty

# Without a partition table.
verdict linux unknown false ext4
finds '.disks[0] | has ("pttype") | not'
finds '.disks[0].partitions | length == 1 and .[0].fstype == "ext4" and
  (.[0] | has ("partn") | not) and .[0].size == 8388608'
verdict windows unknown false ntfs
verdict linux unknown true luks
finds '.disks[0].partitions[0] | .fstype == "crypto_LUKS" and .encrypted'
verdict windows unknown true bitlocker
finds '.disks[0].partitions[0] | .fstype == "BitLocker" and .encrypted'
verdict linux unknown false swap
verdict unknown unknown false empty
finds '.disks[0].partitions[0] | has ("fstype") | not'

# A table, and nothing else.
partition dos.raw 32 'label: dos' 'size=8M, type=83'
verdict unknown bios false dos.raw
partition gpt.raw 32 'label: gpt' 'size=8M, type=L'
verdict unknown unknown false gpt.raw
partition bios.raw 32 'label: gpt' \
  'size=1M, type=21686148-6449-6E6F-744E-656564454649' 'size=8M, type=L'
verdict unknown bios false bios.raw
partition uefi.raw 32 'label: gpt' 'size=8M, type=U' 'size=8M, type=L'
verdict unknown uefi false uefi.raw
partition both.raw 32 'label: gpt' \
  'size=1M, type=21686148-6449-6E6F-744E-656564454649' 'size=8M, type=U'
verdict unknown uefi false both.raw
partition ef.raw 32 'label: dos' 'size=8M, type=ef'
verdict unknown uefi false ef.raw
partition ldm.raw 32 'label: dos' 'size=8M, type=42'
verdict windows bios false ldm.raw

# In partitions.
put ext4 dos.raw 1
verdict linux bios false dos.raw
put ntfs uefi.raw 9
verdict windows uefi false uefi.raw
put luks gpt.raw 1
verdict linux unknown true gpt.raw
put bitlocker bios.raw 2
verdict windows bios true bios.raw

# Over all disks, in whatever order.
verdict linux bios true dos.raw luks empty
finds '[.disks[].name] == ["dos.raw", "luks", "empty"]'
verdict linux bios true empty luks dos.raw
verdict windows bios false dos.raw ntfs
verdict linux uefi false dos.raw both.raw

# As text.
rawview inspect --format=raw dos.raw luks >text
matches text '^system: linux$'
matches text '^firmware: bios$'
matches text '^encrypted: yes$'
matches text '^partition table: dos$'
matches text '^partition table: none$'
matches text '^ +1 +1 MiB +8 MiB +ext4 +[-0-9a-f]{36}  root$'
matches text '^ +- +0 B +8 MiB +crypto_LUKS .*  \[encrypted\]$'
