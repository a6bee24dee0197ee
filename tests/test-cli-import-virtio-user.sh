#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --user with drivers: also inject and what it starts run as that user,
# with disks shown as files or on sockets.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires test "$(id -u)" -eq 0
requires id nobody
requires setpriv --reuid=nobody --clear-groups test -w /dev/fuse
requires setpriv --reuid=nobody --clear-groups fusermount3 -V
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
make_image vmdk disk.raw one.vmdk
cp disk.raw expected.raw
injected 1 expected.raw
mkdir to
chown nobody . to notes
chmod 755 .
chmod 644 one.vmdk

for version in 2.2.0 2.12.0; do
  STANDIN_VERSION=$version rawview import one.vmdk --to to/one.raw \
    --conversion=format,virtio --user nobody >plan 2>err ||
    fail "status $?: $(cat err)"
  same expected.raw to/one.raw
  [ "$(stat -c %U "$notes/pid")" = nobody ] || fail 'virt-v2v ran as root'
  has_no_leftovers to one.raw
  rm to/one.raw
done
