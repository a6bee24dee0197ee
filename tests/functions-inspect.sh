# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests of "rawview inspect", after functions.sh.

# A folder that ordinary users may not have on their paths.
PATH=$PATH:/usr/sbin:/sbin

requires_inspect ()
{
  rawview --features | grep -qx 'guest=yes' || skip 'built without inspect'
  requires test -w /dev/fuse
  requires test -x "$RAWVIEW_BUILDDIR/fusefs/rawviewfs"
  requires jq --version
  requires sfdisk --version
  requires mke2fs -V
}

# put FILE DISK MIB: the bytes of FILE at that place of DISK.
put () { dd if="$1" of="$2" bs=1M seek="$3" conv=notrunc status=none; }

# make_ext4 FILE MIB LABEL
make_ext4 ()
{
  truncate -s "${2}M" "$1"
  mke2fs -q -F -t ext4 -L "$3" "$1"
}

# make_ntfs FILE MIB LABEL
make_ntfs ()
{
  requires mkntfs --version
  truncate -s "${2}M" "$1"
  mkntfs -q -Q -F -s 512 -p 0 -H 16 -S 63 -L "$3" "$1" >/dev/null 2>&1
}

# make_luks FILE MIB
make_luks ()
{
  requires cryptsetup --version
  truncate -s "${2}M" "$1"
  cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 \
    "$1" - <<<secret
}

# make_bitlocker FILE: 1 MiB with the headers of such a volume, Windows 7's.
make_bitlocker ()
{
  python3 - "$1" <<'PY'
import struct
import sys

b = bytearray(1 << 20)
b[0:11] = b"\xeb\x58\x90-FVE-FS-"
b[11:14] = struct.pack("<HB", 512, 8)
b[160:176] = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
places = (65536, 131072, 196608)
b[176:200] = struct.pack("<QQQ", *places)
b[510:512] = b"\x55\xaa"
for off in places:
    b[off:off + 12] = b"-FVE-FS-" + struct.pack("<HH", 64, 2)
open(sys.argv[1], "wb").write(b)
PY
}

# partition DISK MIB LINE…: an empty disk with what the lines tell sfdisk.
partition ()
{
  local disk=$1 mib=$2

  shift 2
  truncate -s 0 "$disk"
  truncate -s "${mib}M" "$disk"
  printf '%s\n' "$@" | sfdisk -q "$disk"
}

# inspect [OPTION…] IMAGE…: what it says is in $tmp/found.json.
inspect () { timeout 60 rawview inspect --json "$@" >"$tmp/found.json"; }

# finds EXPRESSION [WHAT]: it must be true of that.
finds ()
{
  jq -e "$1" "$tmp/found.json" >/dev/null ||
    { cat "$tmp/found.json" >&2; fail "${2-}: not so: $1"; }
}
