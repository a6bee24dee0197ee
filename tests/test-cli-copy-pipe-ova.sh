#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy - DEST: an OVA that comes from a pipe, and its manifest.

# shellcheck disable=SC2002 # What comes from a file could be read again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires python3 --version
cd "$tmp"
make_raw disk.raw
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized
truncate -s 1M other.raw
make_image vmdk other.raw other.vmdk -o subformat=streamOptimized
echo '<Envelope/>' >vm.ovf

# sum ALGORITHM NAME…: lines of a manifest
sum ()
{
  local algorithm=$1 name

  shift
  for name; do
    echo "${algorithm^^}($name)= $("${algorithm}sum" "$name" | cut -d' ' -f1)"
  done
}

# ova NAME MEMBER…
ova () { tar --format=ustar -cf "$@"; }

# copies FILE [ARG…]
copies ()
{
  local file=$1

  shift
  rm -f copy.raw
  cat "$file" | rawview copy "$@" - copy.raw
}

# fails STATUS REGEX FILE [ARG…]
fails ()
{
  local expected=$1 regex=$2 file=$3 status=0

  shift 3
  rm -f copy.raw
  cat "$file" 2>/dev/null | rawview copy "$@" - copy.raw 2>err || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat err; fail "$file: status $status, not $expected"; }
  line_count err 1
  matches err "$regex"
  [ ! -e copy.raw ] || fail "$file: a partial file is left"
}

# The manifest before the disk, behind it, and none.
for algorithm in sha1 sha256 sha512; do
  sum "$algorithm" vm.ovf disk.vmdk >vm.mf
  ova vm.ova vm.ovf vm.mf disk.vmdk
  copies vm.ova
  same disk.raw copy.raw
  ova vm.ova vm.ovf disk.vmdk vm.mf
  copies vm.ova
  same disk.raw copy.raw
done
rawview copy --force vm.ova copy.raw
same disk.raw copy.raw
ova plain.ova vm.ovf disk.vmdk
copies plain.ova
same disk.raw copy.raw

# Wrong checksums: of the disk, of another member.
for name in disk.vmdk vm.ovf; do
  sum sha256 vm.ovf disk.vmdk | sed "/$name/s/= ...../= 00000/" >vm.mf
  ova wrong.ova vm.ovf vm.mf disk.vmdk
  fails 5 "checksum of \"$name\" is not the one in the manifest" wrong.ova
  ova wrong.ova vm.ovf disk.vmdk vm.mf
  fails 5 "checksum of \"$name\" is not the one in the manifest" wrong.ova
done
{ sum sha256 disk.vmdk; echo "SHA256(lost.iso)= $(printf '%064d' 0)"; } >vm.mf
ova wrong.ova vm.mf disk.vmdk
fails 5 'names "lost.iso", which has not come' wrong.ova
echo "MD5(disk.vmdk)= 00" >vm.mf
ova wrong.ova vm.mf disk.vmdk
fails 5 'line 1 of the manifest has another checksum' wrong.ova

# Several disks.
sum sha1 vm.ovf disk.vmdk other.vmdk >vm.mf
ova two.ova vm.ovf other.vmdk disk.vmdk vm.mf
for choice in 2 disk.vmdk; do
  copies two.ova --disk="$choice"
  same disk.raw copy.raw
done
copies two.ova --disk=1
same other.raw copy.raw
fails 2 'after the disk "other.vmdk" comes another, "disk.vmdk"' two.ova
fails 2 'no disk "3" among the 2' two.ova --disk=3

# Cut: in a header, in the disk, before the manifest, in it, before the end mark.
size=$(stat -c %s vm.ova)
sum sha256 vm.ovf disk.vmdk >vm.mf
ova vm.ova vm.ovf disk.vmdk vm.mf
disk_end=$(( 512 + 512 + 512 + $(stat -c %s disk.vmdk) ))
for len in 300 1000 1500 5000 $(( disk_end / 2 )) "$disk_end" \
  $(( disk_end + 512 )) $(( disk_end + 600 )) $(( disk_end + 1024 )); do
  [ "$len" -lt "$size" ] || fail 'the archive is smaller than thought'
  head -c "$len" vm.ova >part.ova
  case $len in
    300) fails 3 'neither VMDK nor OVA' part.ova ;;
    *) fails 5 'ends at byte [0-9]*' part.ova ;;
  esac
done
{ cat vm.ova; echo more; } >more.ova
fails 5 'something follows the archive' more.ova

# What is inside must be readable in one pass.
gzip -k disk.vmdk
ova gzip.ova vm.ovf disk.vmdk.gz
fails 4 'gzip' gzip.ova
make_image vmdk disk.raw sparse.vmdk
ova sparse.ova vm.ovf sparse.vmdk
fails 4 'only streamOptimized' sparse.ova
