#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A container behind an NBD server is copied with few and large requests, as
# each takes long there: not one for each compressed unit.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit file --version
requires nbdkit --filter=log --filter=delay null --version
requires python3 --version
cd "$tmp"

# 28 MiB, in 64 KiB units 384 of which hold something: text that shrinks to
# three quarters, bytes that do not shrink, and holes.
python3 - disk.raw <<'PY'
import base64
import random
import sys

random.seed(28)
with open(sys.argv[1], "wb") as f:
    f.seek(1 << 20)
    f.write(base64.b64encode(random.randbytes(12 << 20)))
    f.seek(20 << 20)
    f.write(random.randbytes(8 << 20))
    f.truncate(28 << 20)
PY
make_image qcow2 disk.raw zlib.qcow2 -c
make_image qcow2 disk.raw plain.qcow2
make_image vmdk disk.raw stream.vmdk -o subformat=streamOptimized
mkdir ova
cp stream.vmdk ova/
size=$(stat -c %s stream.vmdk)
cat >ova/vm.ovf <<OVF
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:id="f" ovf:href="stream.vmdk" ovf:size="$size"/>
  </References>
  <DiskSection><Info/>
    <Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="29360128"/>
  </DiskSection>
</Envelope>
OVF
tar -C ova --format=ustar -cf vm.ova vm.ovf stream.vmdk

# copies_with MOST FILE [ARG…]: copy the disk in FILE, which nbdkit serves late,
# by "rawview copy ARG…"; the server may see at most so many requests.
copies_with ()
{
  local most=$1 file=$2 n

  shift 2
  rm -f requests
  serve_with --filter=log --filter=delay file "$file" \
    logfile="$tmp/requests" rdelay=5ms
  rawview copy "$@" "$uri" copy.raw
  same disk.raw copy.raw
  rm copy.raw
  n=$(grep -c ' Read id=' requests)
  echo "$file $*: $n requests"
  [ "$n" -le "$most" ] || fail "$file $*: $n requests, not $most at most"
}

copies_with 60 zlib.qcow2
copies_with 60 stream.vmdk
copies_with 60 plain.qcow2
copies_with 60 vm.ova
copies_with 60 zlib.qcow2 --connections=1
copies_with 60 stream.vmdk --connections=1
