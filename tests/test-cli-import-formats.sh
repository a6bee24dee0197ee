#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --conversion=format: the same disk, whatever the formats are; sources do
# not change and nothing else is left.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
truncate -s 20M disk2.raw
printf 'another disk' | dd of=disk2.raw bs=1M seek=7 conv=notrunc status=none
make_image qcow2 disk.raw a.qcow2
make_image vmdk disk2.raw b.vmdk -o subformat=streamOptimized
sha256sum a.qcow2 b.vmdk >sums

# is_qcow2 RAWFILE FILE: what QEMU reads there.
is_qcow2 ()
{
  qemu-img compare -q -f raw -F qcow2 "$1" "$2" || fail "$2 differs from $1"
  qemu-img check -q -f qcow2 "$2" || fail "$2 has errors"
}

rawview import a.qcow2 b.vmdk --to out.raw --to out.qcow2 >plan
same disk.raw out.raw
is_qcow2 disk2.raw out.qcow2
matches plan 'a\.qcow2: qcow2, 12 MiB'
matches plan '/out\.qcow2 \(qcow2 file, new\)'

# What is said of the format goes before the suffix.
rawview import a.qcow2 --to 'x,y.qcow2,format=raw' >plan
same disk.raw x,y.qcow2
rawview import a.qcow2 --to z.raw,allocation=sparse,format=qcow2 >plan
is_qcow2 disk.raw z.raw

# A folder is for all.
mkdir folder
rawview import a.qcow2 b.vmdk --to folder,format=qcow2 >plan
is_qcow2 disk.raw folder/a.qcow2
is_qcow2 disk2.raw folder/b.qcow2
rawview import a.qcow2 b.vmdk --to folder/ >plan
same disk.raw folder/a.raw
same disk2.raw folder/b.raw

# All space at once.
rawview import b.vmdk --to p.raw --allocation=preallocated >plan
same disk2.raw p.raw
[ "$(stat -c %b p.raw)" -ge $(( 20 * 2048 )) ] || fail 'p.raw is sparse'
rawview import b.vmdk --to s.raw >plan
[ "$(stat -c %b s.raw)" -lt $(( 10 * 2048 )) ] || fail 's.raw is not sparse'
rawview import b.vmdk --to p.qcow2,allocation=preallocated >plan
is_qcow2 disk2.raw p.qcow2
[ "$(stat -c %b p.qcow2)" -ge $(( 20 * 2048 )) ] || fail 'p.qcow2 is sparse'

# Overwriting has to be asked for.
cp b.vmdk used.qcow2
refused err rawview import a.qcow2 --to used.qcow2
matches err 'used\.qcow2: exists and is not empty \(--force'
same b.vmdk used.qcow2
rawview import a.qcow2 --to used.qcow2 --force >plan
is_qcow2 disk.raw used.qcow2

sha256sum --quiet -c sums
[ -z "$(ls -d .rawview* 2>/dev/null)" ] || fail 'something is left'
