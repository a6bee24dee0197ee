#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Overlays that find no room: the injection fails, also if virt-v2v does not
# notice, and gives all space back.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires_nbdkit
requires test "$(id -u)" -eq 0
cd "$tmp"
use_run_dir
use_stand_in
mkdir in small
truncate -s 64M disk.raw
make_image vmdk disk.raw in/disk.vmdk
sha256sum in/disk.vmdk >sums
mount -t tmpfs -o size=16M none small || skip 'tmpfs cannot be mounted here'
cleanup_fn umount -l "$tmp/small"

for version in 2.2.0 2.12.0; do
  status=0
  STANDIN_VERSION=$version STANDIN_DO=fill \
    rawview inject --overlay-dir=small --log=log in/disk.vmdk >out 2>err ||
    status=$?
  [ "$status" -eq 1 ] || fail "status $status: $(cat err)"
  tail -n 1 err >last
  matches last 'nothing has changed; see '
  matches log 'No space left on device'
  has_no_leftovers small
  no_folders run || fail "this is left: $(ls run/*)"
  [ "$(df --output=used -k small | tail -n 1)" -lt 64 ] ||
    fail 'space is not given back'
done
sha256sum --quiet -c sums || fail 'an image has changed'
