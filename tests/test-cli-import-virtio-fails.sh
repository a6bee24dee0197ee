#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whatever fails or is killed while drivers are injected: sources are as they
# were, and nothing is left, after a kill by the next import at the latest.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires qemu-img --version
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
mkdir in to
make_image qcow2 disk.raw in/one.qcow2
make_image vmdk disk.raw in/two.vmdk
(cd in && sha256sum one.qcow2 two.vmdk) >sums
cp disk.raw one.expected
cp disk.raw two.expected
injected 1 one.expected
injected 2 two.expected

# nothing_is_left FILE…: but these.
nothing_is_left ()
{
  if [ $# -eq 0 ]; then
    [ -z "$(ls -A to)" ] || { ls -lA to; fail 'something is left'; }
    : >to/none
    has_no_leftovers to none
    rm to/none
  else
    has_no_leftovers to "$@"
  fi
  (cd in && sha256sum --quiet -c ../sums) || fail 'a source has changed'
}

import ()
{
  rawview import in/one.qcow2 in/two.vmdk --conversion=format,virtio \
    --to to/one.raw --to to/two.qcow2 "$@"
}

# virt-v2v fails.
for do in fail garbage; do
  status=0
  STANDIN_DO=$do import >plan 2>err || status=$?
  [ "$status" -eq 1 ] || fail "status $status: $(cat err)"
  line_count err 1
  matches err 'this guest cannot be converted.*\(log: .*/one.qcow2.virt-v2v.log\)'
  nothing_is_left one.qcow2.virt-v2v.log
  rm to/*
done

# What it needs is not there: nothing begins.
status=0
RAWVIEW_VIRT_V2V_IN_PLACE=/nowhere import >plan 2>err || status=$?
[ "$status" -ge 1 ] && [ "$status" -le 8 ] || fail "status $status"
[ ! -s plan ] || fail 'there was a plan'
nothing_is_left

# Nor for a disk that can have no overlay: what is there stays as it is.
head -c 1000001 disk.raw >in/odd.raw
echo mine >to/mine.raw
refused err rawview import --format=raw --force in/odd.raw --to to/mine.raw \
  --conversion=format,virtio
matches err 'in/odd.raw: a disk of 1000001 bytes'
[ "$(cat to/mine.raw)" = mine ] || fail 'the destination has changed'
rm to/mine.raw
nothing_is_left

# in_background: until the disks have been written to.
in_background ()
{
  rm -f "$notes"/*
  # The shell ignores SIGINT for what it runs in the background.
  env --default-signal rawview import in/one.qcow2 in/two.vmdk \
    --conversion=format,virtio --to to/one.raw --to to/two.qcow2 \
    >plan 2>err &
  program=$!
  cleanup_fn stop_process "$program"
  wait_until 60 test -e "$notes/written" || fail "nothing written: $(cat err)"
}

ended ()
{
  local status=0

  wait "$program" || status=$?
  [ "$status" -eq "$1" ] || fail "status $status, not $1: $(cat err)"
}

export STANDIN_DO=wait STANDIN_GO=$tmp/go
for signal in INT TERM HUP; do
  in_background
  kill -s "$signal" "$program"
  ended $(( 128 + $(kill -l "$signal") ))
  matches err "import: stopped by SIG$signal"
  nothing_is_left
done

# Each of the processes is killed: inject, the one that copies, virt-v2v.
for pattern in ' inject ' ' import '; do
  in_background
  for pid in $(cat "/proc/$program/task/$program/children"); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qe "$pattern"; then
      kill -KILL "$pid"
    fi
  done
  ended 1
  rm -f to/*.log
  nothing_is_left
done
in_background
kill -KILL "$(cat "$notes/pid")"
ended 1
matches err 'killed by a signal'
rm -f to/*.log
nothing_is_left

# All of it is killed at once.
in_background
kill -KILL "$program"
wait "$program" || :
wait_until 60 no_servers "$tmp/run" || fail 'a server is left'
STANDIN_DO=ok import >plan 2>err || fail "status $?: $(cat err)"
same one.expected to/one.raw
qemu-img compare -q -f raw -F qcow2 two.expected to/two.qcow2 ||
  fail 'two.qcow2 differs'
rm -f to/*.log
nothing_is_left one.raw two.qcow2
rm to/*

# The overlay's disk is full.
small_filesystem "$tmp/small" 4M
status=0
STANDIN_DO=fill import --work-dir small >plan 2>err || status=$?
[ "$status" -eq 1 ] || fail "status $status: $(cat err)"
nothing_is_left
rm -f small/*.log
[ -z "$(ls -A small)" ] || { ls -lA small; fail 'something is left'; }
