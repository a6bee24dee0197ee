#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An injection that is stopped by a signal, or because somebody whom it needs is
# killed, changes nothing and leaves nothing but its log.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires_nbdkit
cd "$tmp"
use_run_dir
use_stand_in
make_raw one.raw
mkdir in over
make_image vmdk one.raw in/one.vmdk -o subformat=streamOptimized
make_image qcow2 one.raw in/two.qcow2 -c
(cd in && sha256sum one.vmdk two.qcow2) >sums

# nothing_is_left: and the log is named in the one sentence in the file "err".
nothing_is_left ()
{
  has_no_leftovers over one.virt-v2v.log
  no_folders run || fail "this is left: $(ls run/*)"
  has_no_leftovers in one.vmdk two.qcow2
  (cd in && sha256sum --quiet -c ../sums) || fail 'an image has changed'
  line_count err 1
  matches err 'nothing has changed; see .*/over/one.virt-v2v.log$'
  matches over/one.virt-v2v.log 'Converting Stand-in'
}

# in_background: start it, with what STANDIN_DO says, and wait until the disks
# have been written.  What the shell runs in the background ignores SIGINT.
in_background ()
{
  rm -f "$notes"/*
  # shellcheck disable=SC2016
  python3 - <<'PY' &
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("rawview", ["rawview", "inject", "--overlay-dir=over",
                      "in/one.vmdk", "in/two.qcow2"])
PY
  program=$!
  cleanup_fn stop_process "$program"
  wait_until 60 test -e "$notes/written" || fail "nothing written: $(cat err)"
}

# ended STATUS
ended ()
{
  local status=0

  wait "$program" || status=$?
  [ "$status" -eq "$1" ] || fail "status $status, not $1: $(cat err)"
}

export STANDIN_DO=wait STANDIN_GO=$tmp/go
for signal in INT TERM HUP; do
  in_background 2>err
  kill -s "$signal" "$program"
  ended $(( 128 + $(kill -l "$signal") ))
  matches err "stopped by SIG$signal"
  nothing_is_left
done

# One of its servers is killed, or virt-v2v is.
for server in disk0 disk1; do
  in_background 2>err
  kill -KILL "$(cat run/*/"$server.pid")"
  ended 1
  matches err 'rawviewfs was killed by a signal'
  nothing_is_left
done
in_background 2>err
kill -KILL "$(cat "$notes/pid")"
ended 1
matches err 'killed by a signal: Killed'
nothing_is_left

# It is deaf to everything but SIGKILL.
STANDIN_DO=hang
in_background 2>err
kill "$program"
ended 143
process_is_gone "$(cat "$notes/pid")" || fail 'it is still there'
nothing_is_left
STANDIN_DO=wait

# Sockets are no different.
export STANDIN_VERSION=2.12.1
in_background 2>err
kill -KILL "$(cat run/*/disk1.pid)"
ended 1
matches err 'nbdkit was killed by a signal'
nothing_is_left
