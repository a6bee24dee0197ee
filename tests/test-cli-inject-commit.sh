#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --commit puts the changes of all disks into the images, or leaves them as they
# were; no overlay stays.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
mkdir in
cp disk.raw one-expected.raw
cp disk.raw two-expected.raw
injected 1 one-expected.raw
injected 2 two-expected.raw

make_images ()
{
  rm -f in/*
  make_image qcow2 disk.raw in/one.qcow2 -c
  make_image vmdk disk.raw in/two.vmdk
  (cd in && sha256sum one.qcow2 two.vmdk) >sums
}

# is_now RAWFILE IMAGE: as others than us see it.
is_now ()
{
  rm -f read.raw
  qemu-img convert -O raw "$2" read.raw
  same "$1" read.raw
}

# unchanged: nothing but the log is beside the images.
unchanged ()
{
  has_no_leftovers in one.qcow2 two.vmdk "$@"
  (cd in && sha256sum --quiet -c ../sums) || fail 'an image has changed'
}

make_images
rawview inject --commit --log=log in/one.qcow2 in/two.vmdk >out 2>err ||
  fail "status $?: $(cat err)"
[ ! -s out ] || fail "there was output: $(cat out)"
is_now one-expected.raw in/one.qcow2
is_now two-expected.raw in/two.vmdk
has_no_leftovers in one.qcow2 two.vmdk

# It fails: nothing has changed.
make_images
STANDIN_DO=garbage rawview inject --commit --log=log in/one.qcow2 in/two.vmdk \
  2>err && fail 'it succeeds'
line_count err 1
matches err 'nothing has changed'
unchanged

# An image that cannot be written is refused before anything starts.
make_image vmdk disk.raw in/three.vmdk -o subformat=streamOptimized
rm -f "$notes"/*
rawview inject --commit --log=log in/one.qcow2 in/three.vmdk 2>err &&
  fail 'it succeeds'
line_count err 1
[ ! -e "$notes/pid" ] || fail 'it was run'
unchanged three.vmdk
rm in/three.vmdk

# Killed before the decision: --recover removes what is left.
(STANDIN_DO=wait STANDIN_GO=$tmp/go exec rawview inject --commit --log=log \
  in/one.qcow2 in/two.vmdk >out 2>err) &
program=$!
cleanup_fn stop_process "$program"
wait_until 60 test -e "$notes/written" || fail "$(cat err)"
kill -KILL "$program"
wait "$program" 2>/dev/null || :
wait_until 30 no_servers "$tmp/run" || fail 'a server outlives rawview'
[ -e in/one.qcow2.inject.qcow2 ] || fail 'it was not killed in the middle'
rawview inject --recover in/one.qcow2 in/two.vmdk >out 2>err ||
  fail "status $?: $(cat err)"
matches out 'there was no commit'
unchanged

# While a commit is not finished, nobody takes its images for whole ones.
touch in/two.vmdk.rawview-commit
for command in 'inject --commit --overlay-dir=.' 'inject --overlay-dir=.' \
  'import --to=a.raw --to=b.raw'; do
  # shellcheck disable=SC2086
  refused err rawview $command in/one.qcow2 in/two.vmdk
  matches err 'two.vmdk.rawview-commit is the journal of a commit'
done
rm in/two.vmdk.rawview-commit
unchanged

# Images that are not there now, as on a disk that is not mounted, may have a
# journal: no other run may remove what it needs.
mkdir ov
rm -f "$notes"/*
(STANDIN_DO=wait STANDIN_GO=$tmp/go exec rawview inject --commit --log=log \
  --overlay-dir=ov in/one.qcow2 in/two.vmdk >out 2>err) &
program=$!
cleanup_fn stop_process "$program"
wait_until 60 test -e "$notes/written" || fail "$(cat err)"
kill -KILL "$program"
wait "$program" 2>/dev/null || :
wait_until 30 no_servers "$tmp/run" || fail 'a server outlives rawview'
mv in away
mkdir in
make_image qcow2 disk.raw other.qcow2
rawview inject --log=log --overlay-dir=ov other.qcow2 >out 2>err ||
  fail "status $?: $(cat err)"
[ -e ov/one.qcow2.overlay.qcow2 ] && [ -e ov/two.vmdk.overlay.qcow2 ] ||
  fail 'the overlays of another run are gone'
rmdir in
mv away in
rm ov/other*
rawview inject --log=log --overlay-dir=ov other.qcow2 >out 2>err ||
  fail "status $?: $(cat err)"
has_no_leftovers ov other.qcow2.overlay.qcow2
unchanged
