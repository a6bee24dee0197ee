#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy to a new file: equal to the disk, exactly its size, and sparse.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
# An odd number of sectors, and a long hole at the end.
truncate -s $(( 200 * 1024 * 1024 + 3 * 512 )) disk.raw

# copied FILE IMAGE [OPTION…]
copied ()
{
  local image=$1

  shift
  rm -f copy.raw
  rawview copy "$@" "$image" copy.raw 2>err
  [ ! -s err ] || { cat err; fail "$image: messages"; }
  same disk.raw copy.raw
  [ "$(du -k copy.raw | cut -f1)" -le $(( 12 * 1024 )) ] ||
    fail "$image: the copy is not sparse: $(du -k copy.raw)"
}

make_image qcow2 disk.raw plain.qcow2
make_image qcow2 disk.raw compressed.qcow2 -c
make_image qcow2 disk.raw small.qcow2 -o cluster_size=512
copied plain.qcow2
copied compressed.qcow2
copied small.qcow2
for type in monolithicSparse monolithicFlat twoGbMaxExtentSparse \
  streamOptimized; do
  make_image vmdk disk.raw "$type.vmdk" -o "subformat=$type"
  copied "$type.vmdk"
done

copied compressed.qcow2 --threads=1
copied compressed.qcow2 --threads=7 --flush
copied plain.qcow2 --sparse=64k
copied plain.qcow2 --sparse=0
copied disk.raw --format=raw

# What the map of a raw file calls data is examined for zeros, unless told not.
head -c 8M /dev/zero >zeros.raw
rawview copy --format=raw zeros.raw hole.raw
[ "$(du -k hole.raw | cut -f1)" -eq 0 ] || fail 'zeros were written'
rawview copy --format=raw --sparse=0 zeros.raw full.raw
[ "$(du -k full.raw | cut -f1)" -ge 8192 ] || fail 'zeros were not written'
same zeros.raw full.raw

# An empty disk.
qemu-img create -q -f qcow2 empty.qcow2 0
rawview copy empty.qcow2 empty.raw
[ -f empty.raw ] && [ ! -s empty.raw ] || fail 'empty.raw should be empty'
