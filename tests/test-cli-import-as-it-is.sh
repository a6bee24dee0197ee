#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --conversion=none: the files byte by byte, or a refusal where that would
# not be the whole disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2 -c
make_image vmdk disk.raw b.vmdk -o subformat=streamOptimized
make_image vmdk disk.raw flat.vmdk -o subformat=monolithicFlat
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 child.qcow2

mkdir to
rawview import --conversion=none a.qcow2 b.vmdk --to to >plan
same a.qcow2 to/a.qcow2
same b.vmdk to/b.vmdk
rawview import --conversion=none --format=raw disk.raw --to to >plan
same disk.raw to/disk.raw

# One whose size is no whole number of sectors.
head -c 1000001 disk.raw >odd.raw
rawview import --conversion=none --format=raw odd.raw --to to >plan
same odd.raw to/odd.raw

# A description that calls itself what has none beside it.
make_image vmdk disk.raw lie.vmdk -o subformat=monolithicFlat
sed -i 's/monolithicFlat/monolithicSparse/' lie.vmdk

for image in flat.vmdk child.qcow2 lie.vmdk; do
  refused err rawview import --conversion=none "$image" --to to/x
  matches err "$image: needs other files too"
  [ ! -e to/x ] || fail 'the destination was made'
done
qemu-img create -q -f qcow2 -o data_file=data.raw outside.qcow2 1M
refused err rawview import --conversion=none --data-file="$tmp/data.raw" \
  outside.qcow2 --to to/x
matches err 'outside.qcow2: needs other files too'
refused err rawview import --conversion=none a.qcow2 --to to/x,format=qcow2
matches err '--conversion=none makes nothing qcow2'
