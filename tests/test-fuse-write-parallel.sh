#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several processes write to one file, and others read and list; each finds what
# it wrote.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires fio --version

cd "$tmp"
make_raw disk.raw
mkdir images changes view
make_image qcow2 disk.raw images/a.qcow2 -c -o cluster_size=8k
make_image vmdk disk.raw images/b.vmdk
mount_view --overlay-dir="$tmp/changes" "$tmp/images" "$tmp/view"

# verify FILE ARG…: fio with three jobs, each in a part of its own, not aligned
# to clusters.
verify ()
{
  local file=$1

  shift
  fio --name=job --filename="$file" --numjobs=3 --rw=randrw \
    --bsrange=4k-64k --blockalign=4k --size=3900k --offset_increment=3900k \
    --fsync=64 --verify=crc32c --verify_fatal=1 --randseed=3 \
    --allow_file_create=0 --fallocate=none --group_reporting \
    --output="$tmp/fio.log" "$@" || fail "fio: $(tail -n 3 "$tmp/fio.log")"
}

(while :; do cat view/a.qcow2.raw; ls -l view; done) >/dev/null 2>&1 &
reader=$!
verify view/a.qcow2.raw --ioengine=psync
verify view/a.qcow2.raw --ioengine=libaio --direct=1 --iodepth=8
verify view/b.vmdk.raw --ioengine=psync
kill "$reader"
wait "$reader" 2>/dev/null || :
cp view/a.qcow2.raw a.raw
unmount_view "$tmp/view"
is_now qcow2 changes/a.qcow2.overlay.qcow2 a.raw
is_clean qcow2 changes/b.vmdk.overlay.qcow2
