#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A container behind an NBD server is read over several connections, four at
# most, also if the server does not announce that it bears them, or over as many
# as connections= says.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit file --version
requires nbdkit --filter=log --filter=delay --filter=multi-conn null --version
cd "$tmp"
make_raw disk.raw
truncate -s 48M disk.raw
dd if=/dev/urandom of=disk.raw bs=1M seek=12 count=36 conv=notrunc status=none
make_image qcow2 disk.raw disk.qcow2

# connections_of ARG…: how many "rawview copy ARG…" makes.
connections_of ()
{
  rm -f requests copy.raw
  serve_with --filter=log --filter=delay --filter=multi-conn file disk.qcow2 \
    multi-conn-mode=disable rdelay=50ms logfile="$tmp/requests"
  rawview copy "$@" "$uri" copy.raw
  same disk.raw copy.raw
  n=$(grep -c ' Connect ' requests)
  echo "$*: $n connections"
}

connections_of --threads=4
[ "$n" -ge 2 ] || fail 'all was read over one connection'
[ "$n" -le 4 ] || fail "there were $n connections"
connections_of --threads=4 --connections=2
[ "$n" -eq 2 ] || fail "connections=2: there were $n"
connections_of --threads=4 --connections=1
[ "$n" -eq 1 ] || fail "connections=1: there were $n"
