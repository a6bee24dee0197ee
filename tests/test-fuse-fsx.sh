#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random operations on the file and on a model of it agree; see fsx.c.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires test -x "$RAWVIEW_BUILDDIR/tests/fsx"
touch "$tmp/view"
make_raw "$tmp/disk.raw"

# try_image SEED FORMAT FILE [OPTION…]: of rawviewfs; FORMAT and FILE are of what
# is written.
try_image ()
{
  local seed=$1 format=$2 file=$3

  shift 3
  mount_view "$@" "$tmp/view"
  "$RAWVIEW_BUILDDIR/tests/fsx" -s "$seed" -n 1200 "$tmp/view"
  cp --sparse=always "$tmp/view" "$tmp/expected.raw"
  unmount_view "$tmp/view"
  is_now "$format" "$file" "$tmp/expected.raw"
}

make_image qcow2 "$tmp/disk.raw" "$tmp/compressed.qcow2" -c
try_image 1 qcow2 "$tmp/compressed.qcow2" --rw "$tmp/compressed.qcow2"

make_image qcow2 "$tmp/disk.raw" "$tmp/extended.qcow2" \
  -o extended_l2=on,cluster_size=128k
qemu-img snapshot -c before "$tmp/extended.qcow2"
try_image 2 qcow2 "$tmp/extended.qcow2" --rw "$tmp/extended.qcow2"
qemu-img convert -f qcow2 -l before -O raw "$tmp/extended.qcow2" \
  "$tmp/before.raw"
same "$tmp/disk.raw" "$tmp/before.raw"

make_image vmdk "$tmp/disk.raw" "$tmp/sparse.vmdk"
try_image 3 vmdk "$tmp/sparse.vmdk" --rw "$tmp/sparse.vmdk"

make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" -o subformat=streamOptimized
remember "$tmp/stream.vmdk"
try_image 4 qcow2 "$tmp/changes.qcow2" --overlay="$tmp/changes.qcow2" \
  "$tmp/stream.vmdk"
unchanged
