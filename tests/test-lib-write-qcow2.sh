#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random writes into QCOW2 images of every kind that QEMU makes: afterwards
# QEMU reads the bytes of the model and finds neither errors nor leaks.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
cd "$tmp"

# kind NAME [OPTION…]: a full image, made by "qemu-img convert".
kind ()
{
  local name=$1

  shift
  cp disk.raw "$name.raw"
  qemu-img convert -f raw -O qcow2 "$@" disk.raw "$name"
  write_into "$name"
}

make_disk disk.raw 6145K

kind plain
kind clusters-512 -o cluster_size=512
kind clusters-4k -o cluster_size=4k
kind clusters-2m -o cluster_size=2M
kind compressed -c
kind compressed-4k -c -o cluster_size=4k
kind version-2 -o compat=0.10
kind version-2-compressed -c -o compat=0.10
kind preallocated -S 0 -o preallocation=metadata
kind extended -o extended_l2=on
kind extended-16k -o extended_l2=on,cluster_size=16k
kind extended-compressed -c -o extended_l2=on,cluster_size=32k
kind refcounts-1 -o refcount_bits=1
kind refcounts-64 -o refcount_bits=64,cluster_size=4k
if qemu-img create -q -f qcow2 -o compression_type=zstd try 1M 2>/dev/null; then
  kind zstd -c -o compression_type=zstd
fi
