#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every kind of VMDK that qemu-img writes reads as the disk that went in.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
for subformat in monolithicSparse monolithicFlat twoGbMaxExtentSparse \
                 twoGbMaxExtentFlat streamOptimized; do
  make_image vmdk "$tmp/disk.raw" "$tmp/$subformat.vmdk" \
    -o "subformat=$subformat"
  nbdkit -U - rawview "$tmp/$subformat.vmdk" \
    --run "nbdcopy -- \"\$uri\" $tmp/$subformat.raw"
  cmp "$tmp/disk.raw" "$tmp/$subformat.raw" || fail "$subformat differs"
done
