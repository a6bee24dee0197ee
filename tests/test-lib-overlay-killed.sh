#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Killed at any moment, whoever makes an overlay leaves none or a complete one,
# and the next one goes on.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires strace --version
cd "$tmp"
qemu-img create -q -f qcow2 base 8M
requires strace -o /dev/null -e trace=fsync true

make_one () { "$@" rawview info --overlay="$tmp/over" base; }

make_one strace -f -o calls \
  -e trace=openat,ftruncate,fallocate,pwrite64,fdatasync,fsync,linkat,unlinkat \
  >made.log
rm over
kills=0
there=0
for call in pwrite64 fallocate ftruncate fdatasync fsync linkat; do
  n=$(grep -c " $call(" calls || :)
  for (( i = 1; i <= n; i++ )); do
    make_one strace -f -o trace -e trace="$call" \
      -e inject="$call:signal=SIGKILL:when=$i" >killed.log 2>&1 &&
      fail "$call number $i was not the end"
    kills=$(( kills + 1 ))
    if [ -e over ]; then
      there=$(( there + 1 ))
      qemu-img check -q -f qcow2 over || fail "half an overlay at $call $i"
    fi
    make_one >next.log || fail "nobody can go on after $call $i"
    qemu-img check -q -f qcow2 over
    rm over
  done
done
[ "$kills" -ge 4 ] || fail "only $kills kills"
# At the link and afterwards.
[ "$there" -ge 1 ] || fail 'never was it there'

# A full disk, or a broken one, leaves nothing at all.
for call in pwrite64 fallocate ftruncate fdatasync fsync linkat; do
  n=$(grep -c " $call(" calls || :)
  for (( i = 1; i <= n; i++ )); do
    status=0
    make_one strace -f -o trace -e trace="$call" \
      -e inject="$call:error=ENOSPC:when=$i" >full.log 2>&1 || status=$?
    [ "$status" -lt 124 ] || fail "crashed at $call $i: status $status"
    if [ "$status" -ne 0 ]; then
      matches full.log 'No space left on device'
      # The folder itself could not be made durable.
      [ ! -e over ] || [ "$call" = fsync ] || fail "half of it at $call $i"
    fi
    [ ! -e over ] || qemu-img check -q -f qcow2 over
    rm -f over
  done
done

ls -A >files
! grep -q tmp files || fail 'something is left behind'
