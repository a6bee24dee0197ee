#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit ends cleanly while clients read, and when nobody has come.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c

# ends PIDFILE: with nbdkit's exit status.
ends ()
{
  local pid status=0

  pid=$(cat "$1")
  kill "$pid"
  wait "$pid" || status=$?
  return "$status"
}

serve "$tmp/disk.qcow2"
ends "$tmp/nbdkit-1.pid" || fail "nbdkit ended with status $?"

# nbdkit 1.32 itself aborts now and then when a client goes away meanwhile, in
# connections.c, whatever plugin it has; that says nothing about ours.
for try in 1 2 3 4 5 6; do
  serve "dir=$tmp"
  clients=
  for i in 1 2 3; do
    (while nbdcopy -- "$(uri_of disk.qcow2)" null:; do :; done) 2>/dev/null &
    clients="$clients $!"
  done
  sleep 0.5
  status=0
  ends "$tmp/nbdkit-$nr_servers.pid" || status=$?
  # shellcheck disable=SC2086
  wait $clients || :
  [ "$status" -ne 0 ] || break
  { [ "$status" -eq 134 ] && grep -q 'connections\.c:.*Assertion' "$nbdkit_log"; } ||
    fail "nbdkit ended with status $status"
done
[ "$status" -eq 0 ] || fail "nbdkit aborts $try times in a row"
