#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several clients and connections write at once, and each finds what it wrote.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires fio --version
requires sh -c 'fio --enghelp | grep -qw nbd'
requires nbdcopy --version

cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw small.qcow2 -o cluster_size=4k
make_image vmdk disk.raw stream.vmdk -o subformat=streamOptimized
qemu-img create -q -f vmdk sparse.vmdk 64M
qemu-img create -q -f qcow2 -F qcow2 -b small.qcow2 top.qcow2 64M

# verify: fio with four jobs, each in a part of its own, not aligned to clusters.
verify ()
{
  fio --name=job --ioengine=nbd --uri="$uri" --numjobs=4 --thread --rw=randrw \
    --bsrange=512-128k --blockalign=512 --size="$1" \
    --offset_increment="$1" --iodepth=8 --fsync=64 --verify=crc32c \
    --verify_fatal=1 --randseed=7 --group_reporting --output=fio.log ||
    fail "fio: $(tail -n 3 fio.log)"
}

serve_rw sparse.vmdk
verify 5000k
stop_server
is_clean vmdk sparse.vmdk

serve_rw top.qcow2
verify 5000k
stop_server
is_clean qcow2 top.qcow2

serve_rw stream.vmdk overlay=changes.qcow2
verify 3000k
stop_server
is_clean qcow2 changes.qcow2

# All connections of one client.
dd if=/dev/urandom of=new.raw bs=1M count=12 status=none
truncate -s 64M new.raw
serve_rw sparse.vmdk
nbdcopy --connections=4 --requests=16 new.raw "$uri"
reads_as "$uri" new.raw
stop_server
is_now vmdk sparse.vmdk new.raw
