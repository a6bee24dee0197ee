#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An import that fails or is interrupted: the usual status, a line that says why,
# and nothing is left of what it had created.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
requires nbdkit --filter=delay file --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
sha256sum a.qcow2 >sums

# nothing_left DIR
nothing_left ()
{
  [ -z "$(ls -A "$1")" ] || { ls -lA "$1"; fail "something is left in $1"; }
}

# slow_source: a source that answers late, at $slow; ends with stop_slow.
slow_source ()
{
  rm -f slow.pid
  nbdkit -f -P "$tmp/slow.pid" -U "$tmp/slow.sock" --filter=delay file a.qcow2 \
    delay-read=300ms 2>/dev/null &
  slow_pid=$!
  cleanup_fn stop_process "$slow_pid"
  wait_until 60 test -s slow.pid || fail 'nbdkit did not start'
  slow="nbd+unix:///?socket=$tmp/slow.sock"
}

stop_slow ()
{
  stop_process "$slow_pid"
  wait "$slow_pid" || :
  rm -f slow.sock
}

mkdir to
slow_source

noted () { grep -qsF "/$1" to/.rawview-import-*/state; }

# begin: start an import of two disks and wait until it has made both
# destinations, and written down that it has; sets $import.
begin ()
{
  # The shell ignores SIGINT for what it runs in the background.
  env --default-signal rawview import --connections=1 "$slow" a.qcow2 \
    --to to/one.qcow2 --to to/two.raw >plan 2>err &
  import=$!
  wait_until 60 noted two.raw || { cat err; fail 'nothing was made'; }
}

for signal in TERM INT; do
  begin
  kill -s "$signal" "$import"
  status=0
  wait "$import" || status=$?
  [ "$status" -eq $(( 128 + $(kill -l "$signal") )) ] || fail "status $status"
  line_count err 1
  matches err "stopped by SIG$signal"
  nothing_left to
done

# Killed, it leaves something, which the next one removes.
begin
kill -s KILL "$import"
wait "$import" || :
[ -e to/one.qcow2 ] || fail 'this tests nothing'
rawview import a.qcow2 --to to/one.qcow2 >plan
qemu-img compare -q -f raw -F qcow2 disk.raw to/one.qcow2 || fail 'it differs'
[ "$(ls -A to)" = one.qcow2 ] || { ls -lA to; fail 'something is left'; }

# A file that has been replaced meanwhile is not taken for what was left.
rm to/one.qcow2
begin
kill -s KILL "$import"
wait "$import" || :
echo mine >mine
mv mine to/one.qcow2
refused err rawview import a.qcow2 --to to/one.qcow2
matches err 'exists and is not empty'
[ "$(cat to/one.qcow2)" = mine ] || fail 'a file of another was touched'
[ "$(ls -A to)" = one.qcow2 ] || { ls -lA to; fail 'something is left'; }
rm to/one.qcow2

# Nor one that somebody has made anew, or finished, in the place of what was
# left: it may have got the same number.
for rm in 'rm to/one.qcow2' :; do
  begin
  kill -s KILL "$import"
  wait "$import" || :
  sleep 4
  $rm
  cp a.qcow2 to/one.qcow2
  rawview import a.qcow2 --to to/three.raw >plan
  same a.qcow2 to/one.qcow2
  rm to/*
  nothing_left to
done

# The copying process alone is killed.
begin
pkill -KILL -P "$import"
status=0
wait "$import" || status=$?
[ "$status" -eq 1 ] || fail "status $status"
matches err 'the copying process ended unexpectedly'
nothing_left to

# The source goes away.
: >to/was-here.raw
rawview import --connections=1 a.qcow2 "$slow" --to to/one.qcow2 \
  --to to/was-here.raw >plan 2>err &
import=$!
wait_until 60 noted one.qcow2 || fail 'nothing was made'
stop_slow
status=0
wait "$import" || status=$?
[ "$status" -eq 1 ] || fail "status $status"
matches err '/to/was-here\.raw: is incomplete now'
[ "$(ls -A to)" = was-here.raw ] || { ls -lA to; fail 'something is left'; }
sha256sum --quiet -c sums

# A description of the result takes the place of nothing else.
mkdir xml
mkfifo xml/pipe
ln -s pipe xml/link
for name in a.qcow2 xml/pipe xml/link; do
  refused err rawview import a.qcow2 --to xml/a.raw --output-xml="$name"
  matches err "$name: is there and no XML"
  [ ! -e xml/a.raw ] || fail 'the destination was made'
done
refused err rawview import a.qcow2 --to xml/a.raw --output-xml=xml/a.raw
same disk.raw xml/a.raw
rm -r xml
sha256sum --quiet -c sums

# The disk is full.
small_filesystem "$tmp/small" 8M
ls -A small >before
for name in full.qcow2 full.raw; do
  head -c 12M /dev/urandom >large.raw
  refused err rawview import --format=raw large.raw --to "small/$name"
  matches err 'No space left on device'
  ls -A small | diff before - || fail 'something is left'
done
