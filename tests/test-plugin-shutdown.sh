#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit ends cleanly while clients read, and when nobody has come.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c

# ends PIDFILE: nbdkit has to exit with 0.
ends ()
{
  local pid status=0

  pid=$(cat "$1")
  kill "$pid"
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || fail "nbdkit ended with status $status"
}

serve "$tmp/disk.qcow2"
ends "$tmp/nbdkit-1.pid"

serve "dir=$tmp"
for i in 1 2 3; do
  (while nbdcopy -- "$(uri_of disk.qcow2)" null:; do :; done) 2>/dev/null &
done
sleep 0.5
ends "$tmp/nbdkit-2.pid"
wait
