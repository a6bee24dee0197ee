#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --conversion=virtio: the destinations have the disks with what was
# injected, in whatever format; the sources do not change.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires qemu-img --version
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
cp disk.raw one.expected
cp disk.raw two.expected
injected 1 one.expected
injected 2 two.expected
mkdir in to
make_image qcow2 disk.raw in/one.qcow2 -c
make_image vmdk disk.raw in/two.vmdk -o subformat=streamOptimized
(cd in && sha256sum one.qcow2 two.vmdk) >sums

is_qcow2 ()
{
  qemu-img compare -q -f raw -F qcow2 "$1" "$2" || fail "$2 differs from $1"
  qemu-img check -q -f qcow2 "$2" || fail "$2 has errors"
}

import () { rawview import "$@" >plan 2>err || fail "status $?: $(cat err)"; }

for conversion in format,virtio virtio,format; do
  import in/one.qcow2 in/two.vmdk --to to/one.raw --to to/two.qcow2 \
    --conversion="$conversion"
  [ ! -s err ] || fail "it says: $(cat err)"
  matches plan '^conversion: format,virtio$'
  same one.expected to/one.raw
  is_qcow2 two.expected to/two.qcow2
  has_no_leftovers to one.raw two.qcow2
  rm to/*
done

# Without the other conversion the format stays.
import in/one.qcow2 --conversion=virtio --to to
is_qcow2 one.expected to/one.qcow2
rm to/*
refused err rawview import in/one.qcow2 --conversion=virtio --to to/one.raw
matches err 'is qcow2, and .*/to/one.raw would be raw'
refused err rawview import in/two.vmdk --conversion=virtio --to to/two
matches err 'is vmdk, and .*/to/two would be raw'

# A place that keeps what it had where the disk is zero would be found out.
head -c 16M /dev/urandom >server
cp server old
start_nbdkit -P pid -U "$tmp/sock" file server
import in/two.vmdk --conversion=virtio,format \
  --to "nbd+unix:///?socket=$tmp/sock" --work-dir to
cp disk.raw only.expected
injected 1 only.expected
cmp -n 12582912 only.expected server || fail 'the disk differs'
cmp -i 12582912 old server || fail 'what lies behind was changed'

# With all space from the beginning, and in the strictest sandbox.
import in/two.vmdk --conversion=virtio,format --allocation=preallocated \
  --to to/only.raw --sandbox=on
same only.expected to/only.raw
[ "$(stat -c %b to/only.raw)" -ge $(( 12 * 2048 )) ] || fail 'it is sparse'
has_no_leftovers to only.raw
(cd in && sha256sum --quiet -c ../sums) || fail 'a source has changed'

# A source behind a server, in the sandbox that leaves only that connection.
start_nbdkit -P pid2 -U "$tmp/sock2" -r file in/two.vmdk
import "nbd+unix:///?socket=$tmp/sock2" --conversion=virtio,format \
  --to to/remote.raw --sandbox=on
same only.expected to/remote.raw

[ "$(id -u)" -eq 0 ] || exit 0
cp old backing
device=$(losetup --find --show backing 2>/dev/null) || exit 0
cleanup_fn losetup --detach "$device"
import in/two.vmdk --conversion=virtio,format --to "$device" --work-dir to
cmp -n 12582912 only.expected "$device" || fail 'the disk differs'
cmp -i 12582912 old "$device" || fail 'what lies behind was changed'
