#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random writes into empty QCOW2 images with clusters of 512 bytes, of which a
# refcount table of one cluster cannot count many: it grows, and QEMU finds
# neither errors nor leaks.  Nothing else of the header changes.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
cd "$tmp"

# header FILE: all of it but where the refcount table is, and its size.
header ()
{
  head -c 48 "$1"
  head -c 512 "$1" | tail -c +61
}

# reftable FILE
reftable () { head -c 60 "$1" | tail -c +49; }

for bits in 64 32; do
  name=refcounts-$bits
  qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits="$bits" \
    "$name" 20M
  truncate -s 20M "$name.raw"
  header "$name" >header
  reftable "$name" >reftable
  write_into "$name"
  header "$name" | cmp header - || fail "$name: the header has changed"
  ! reftable "$name" | cmp -s reftable - ||
    fail "$name: the refcount table has not grown"
done
