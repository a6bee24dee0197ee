#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Killed at any moment, a commit of two disks has changed neither, or both are
# made what their overlays said by who recovers, however often he is killed.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
killer=$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so
requires test -e "$killer"
cd "$tmp"
mkdir vm kept
journal=$tmp/vm/a.rawview-commit
make_base qcow2 vm/a
make_base vmdk:monolithicSparse vm/b
change_in_overlay qcow2 vm/a vm/a.over.qcow2 1
change_in_overlay vmdk vm/b vm/b.over.qcow2 2
qemu-img convert -f qcow2 -O raw vm/a.over.qcow2 a.raw
qemu-img convert -f qcow2 -O raw vm/b.over.qcow2 b.raw
cp -a vm/. kept

# do_commit: with KILL_AT in its environment it is killed then.
do_commit ()
{
  LD_PRELOAD=$killer "$commitcheck" run vm/a vm/a.over.qcow2 vm/b \
    vm/b.over.qcow2
}
do_recover () { LD_PRELOAD=$killer "$commitcheck" recover "$journal"; }

# killed COMMAND: false if it came to its end; then it must have succeeded.
killed ()
{
  local status=0

  "$1" >killed.log 2>&1 || status=$?
  [ "$status" -eq 137 ] || [ "$status" -eq 0 ] || {
    cat killed.log >&2
    fail "$1: status $status"
  }
  [ "$status" -eq 137 ]
}

nothing_has_changed ()
{
  local file

  for file in a b a.over.qcow2 b.over.qcow2; do
    cmp "vm/$file" "kept/$file" || fail "undecided, but $file differs at $1"
  done
}

# no_damage MOMENT COMMAND…: what was taken before a kill may be left over.
no_damage ()
{
  local moment=$1 status=0

  shift
  "$@" >check.log 2>&1 || status=$?
  [ "$status" -eq 0 ] || { [ "$status" -eq 3 ] && [ "$moment" != end ]; } ||
    fail "$*: status $status at $moment"
}

all_is_done ()
{
  no_damage "$1" qemu-img check -f qcow2 vm/a
  no_damage "$1" rawview check vm/b
  same_disk qcow2 vm/a a.raw
  same_disk vmdk vm/b b.raw
  no_traces vm
}

undecided=0
decided=0
for (( n = 1; ; n++ )); do
  rm -rf vm/*
  cp -a kept/. vm
  KILL_AT=$n killed do_commit || break
  if [ ! -e "$journal" ] && [ -e vm/a.over.qcow2 ]; then
    undecided=$(( undecided + 1 ))
    nothing_has_changed "$n"
    status=0
    "$commitcheck" recover "$journal" || status=$?
    [ "$status" -eq 3 ] || fail "nothing to recover at $n, but status $status"
    nothing_has_changed "$n"
    ! ls vm/*.new 2>/dev/null || fail "half a journal is left at $n"
    continue
  fi
  decided=$(( decided + 1 ))
  # Once in a while the one who recovers has bad luck again and again.
  if [ $(( n % 16 )) -eq 0 ]; then
    for (( m = 1; ; m++ )); do
      { [ -e "$journal" ] && KILL_AT=$m killed do_recover; } || break
    done
  else
    status=0
    "$commitcheck" recover "$journal" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || fail "not recovered at $n"
  fi
  all_is_done "$n"
done
all_is_done end
[ "$undecided" -ge 4 ] || fail "only $undecided moments before the decision"
[ "$decided" -ge 10 ] || fail "only $decided moments after it"
