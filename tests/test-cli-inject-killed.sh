#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# rawview is killed at any moment of an injection: nothing runs on, nothing is
# mounted, the images are as they were, and the next run finds its way free.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
cd "$tmp"
use_run_dir
use_stand_in
make_raw one.raw
mkdir in over
make_image vmdk one.raw in/one.vmdk -o subformat=streamOptimized
make_image qcow2 one.raw in/two.qcow2 -c
(cd in && sha256sum one.vmdk two.qcow2) >sums
export STANDIN_GO=$tmp/go

inject ()
{
  rm -f "$notes"/*
  rawview inject --log=log --overlay-dir=over in/one.vmdk in/two.qcow2
}

# in_background: it waits when it has written; $program is its process.
in_background ()
{
  rm -f "$notes"/*
  (STANDIN_DO=${do:-wait} exec rawview inject --log=log --overlay-dir=over \
    in/one.vmdk in/two.qcow2 >out 2>err) &
  program=$!
  cleanup_fn stop_process "$program"
}

# killed_when COMMAND…: rawview, as soon as the command succeeds.
killed_when ()
{
  in_background
  wait_until 60 "$@" || fail "this did not happen: $*: $(cat err)"
  kill -KILL "$program"
  wait "$program" 2>/dev/null || :
  wait_until 30 no_servers "$tmp/run" || fail 'a server outlives rawview'
  no_mounts "$tmp/run" || fail 'a mount outlives rawview'
  if [ -e "$notes/pid" ]; then
    wait_until 30 process_is_gone "$(cat "$notes/pid")" ||
      fail 'virt-v2v outlives rawview'
  fi
  (cd in && sha256sum --quiet -c ../sums) || fail 'an image has changed'
}

# ran_again: with success, and as if nothing had been.
ran_again ()
{
  inject >out 2>err || fail "status $?: $(cat err)"
  has_no_leftovers over one.vmdk.overlay.qcow2 two.qcow2.overlay.qcow2
  no_folders run || fail "this is left: $(ls run/*)"
  rm over/*
}

there () { compgen -G "$1" >/dev/null; }

killed_when there 'over/*.rawview-unfinished'
ran_again
killed_when there 'run/*/disk0.pid'
ran_again
killed_when there 'over/two*.qcow2'
ran_again
killed_when test -e "$notes/pid"
ran_again
do=hang killed_when test -e "$notes/written"
ran_again

# Killed while a server is: its mount goes too.
in_background
wait_until 60 test -e "$notes/written" || fail "$(cat err)"
# shellcheck disable=SC2046
kill -KILL "$program" $(cat run/*/disk*.pid)
wait "$program" 2>/dev/null || :
wait_until 30 no_servers "$tmp/run" || fail 'a server outlives its killing'
wait_until 30 no_mounts "$tmp/run" || fail 'a dead mount is left'

# An overlay that somebody has put there since is not taken for ours.
cp over/one.vmdk.overlay.qcow2 theirs.qcow2
rm over/*.rawview-unfinished
status=0
inject >out 2>err || status=$?
[ "$status" -eq 6 ] || fail "status $status: $(cat err)"
matches err 'exists already'
same theirs.qcow2 over/one.vmdk.overlay.qcow2
rm over/*
ran_again

# Another run that lives is not disturbed.
in_background
wait_until 60 test -e "$notes/written" || fail "$(cat err)"
STANDIN_DIR='' rawview inject --log=log2 --overlay=over/other.qcow2 in/one.vmdk \
  >out2 2>err2 || fail "the second: $(cat err2)"
touch go
wait "$program" || fail "the first: $(cat err)"
has_no_leftovers over one.vmdk.overlay.qcow2 two.qcow2.overlay.qcow2 \
  other.qcow2
