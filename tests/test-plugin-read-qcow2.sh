#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every kind of QCOW2 that qemu-img writes reads as the disk that went in.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
number=0

check ()
{
  number=$(( number + 1 ))
  make_image qcow2 "$tmp/disk.raw" "$tmp/$number.qcow2" "$@"
  nbdkit -U - rawview "$tmp/$number.qcow2" \
    --run "nbdcopy -- \"\$uri\" $tmp/$number.raw"
  cmp "$tmp/disk.raw" "$tmp/$number.raw" || fail "differs: qemu-img -o $*"
}

check
check -o compat=0.10
check -o cluster_size=512
check -o cluster_size=2M
check -o preallocation=metadata
check -o extended_l2=on
check -c
check -c -o compression_type=zstd
check -c -o cluster_size=2M

# A backing file in the same folder.
qemu-img create -q -f qcow2 -b 1.qcow2 -F qcow2 "$tmp/over.qcow2"
qemu-io -f qcow2 -c 'write -P 7 100k 3M' "$tmp/over.qcow2" >/dev/null
qemu-img convert -f qcow2 -O raw "$tmp/over.qcow2" "$tmp/over.raw"
serve "$tmp/over.qcow2"
reads_as "$uri" "$tmp/over.raw"
