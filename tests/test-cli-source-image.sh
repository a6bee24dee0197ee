#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest of images: its name and its disks, in the order given, each with a name
# of its own; of a folder, every image but extents and what lies below others.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

machinecheck=$RAWVIEW_BUILDDIR/tests/machinecheck
requires test -x "$machinecheck"
requires qemu-img --version
cd "$tmp"

make_raw disk.raw
mkdir a b
make_image vmdk disk.raw a/web.server.vmdk -o subformat=streamOptimized
make_image qcow2 disk.raw b/disk.qcow2
truncate -s 3M small.raw
make_image qcow2 small.raw a/disk.qcow2

# One image, called after its file.
mkdir out
"$machinecheck" copy=out a/web.server.vmdk >one
matches one '^name: web\.server$'
matches one '^memory: 0$'
matches one '^firmware: unknown$'
matches one "^disk: web\\.server\\.vmdk unknown 12582912 $tmp/a/web\\.server\\.vmdk\$"
[ "$(grep -c '^disk:' one)" -eq 1 ] || fail 'more than one disk'
same disk.raw out/web.server.vmdk

# Several: in the order given, and no two of the same name.
"$machinecheck" a/disk.qcow2 "$tmp/b/disk.qcow2" >two
matches two '^name: disk$'
grep '^disk:' two | sed -n 1p >first
grep '^disk:' two | sed -n 2p >second
matches first "^disk: disk\\.qcow2 unknown 3145728 $tmp/a/disk\\.qcow2\$"
matches second "^disk: 2-disk\\.qcow2 unknown 12582912 $tmp/b/disk\\.qcow2\$"

# A folder: extents belong to their images, and what is no image is left out or,
# if it looks like one and cannot be opened, told.
mkdir folder
make_image vmdk disk.raw folder/b.vmdk -o subformat=twoGbMaxExtentFlat
cp a/disk.qcow2 folder/a.qcow2
echo text >folder/notes.txt
head -c 64K <(printf 'QFI\373\0\0\0\11'; cat /dev/zero) >folder/broken.qcow2
"$machinecheck" folder >folder.out 2>folder.err
matches folder.out '^name: folder$'
[ "$(sed -n 's/^disk: \([^ ]*\).*/\1/p' folder.out | tr '\n' ' ')" = \
  'a.qcow2 b.vmdk ' ] || fail "wrong disks: $(cat folder.out)"
matches folder.err 'broken\.qcow2'
mkdir out-folder
"$machinecheck" copy=out-folder folder/ >/dev/null 2>&1
same disk.raw out-folder/b.vmdk
(cd folder && "$machinecheck" .) >dot.out 2>/dev/null
matches dot.out '^name: folder$'

# Of a chain the newest is the disk.
mkdir chain
make_image qcow2 disk.raw chain/base.qcow2
(cd chain && qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 new.qcow2)
"$machinecheck" set=references=same-directory chain >chain.out
[ "$(sed -n 's/^disk: \([^ ]*\).*/\1/p' chain.out)" = new.qcow2 ] ||
  fail "wrong disks: $(cat chain.out)"
(cd chain && qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 other.qcow2)
refused err "$machinecheck" set=references=same-directory chain
matches err 'new\.qcow2 and .*other\.qcow2 are states of one disk'

# What cannot be a guest.
mkdir empty
refused err "$machinecheck" empty
matches err 'no disk image in it'
refused err "$machinecheck" a/disk.qcow2 folder
matches err 'folder: has 2 disks'
refused err "$machinecheck" -
matches err 'cannot come from a pipe'
refused err "$machinecheck" nowhere.vmdk
matches err 'nowhere\.vmdk.*No such file'
refused err "$machinecheck" folder/notes.txt
matches err 'notes\.txt.*format'
