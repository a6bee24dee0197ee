#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random writes into QCOW2 images with backing files and with snapshots: QEMU
# reads the bytes of the model, finds neither errors nor leaks, and backing
# files and snapshots are what they were.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
cd "$tmp"
make_disk disk.raw 6145K

# Backing files, shorter and longer.
for options in '' extended_l2=on compat=0.10; do
  for base in 3M 9M; do
    name=over-${options:-default}-$base
    make_disk "base-$base" "$base"
    qemu-img create -q -f qcow2 -F raw -b "base-$base" ${options:+-o "$options"} \
      "$name" 6145K
    qemu-img convert -f qcow2 -O raw "$name" "$name.raw"
    remember "base-$base"
    write_into "$name"
    unchanged
  done
done

# Snapshots, of empty, full and written disks.
for options in extended_l2=on cluster_size=4k compat=0.10; do
  name=snap-${options:-default}
  cp disk.raw "$name.raw"
  qemu-img convert -c -f raw -O qcow2 ${options:+-o "$options"} disk.raw "$name"
  qemu-img snapshot -c one "$name"
  write_into "$name"
  cp "$name.raw" two.raw
  qemu-img snapshot -c two "$name"
  write_into "$name"
  qemu-img snapshot -d one "$name"
  write_into "$name"
  qemu-img convert -l two -f qcow2 -O raw "$name" now.raw
  cmp two.raw now.raw || fail "$name: the snapshot has changed"
done
