#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# serve prints the URI of each export when it can be used, and leaves nothing
# behind.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires nbdinfo --version
requires nbdcopy --version
requires_nbdkit
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw 'a disk.qcow2'
make_image vmdk disk.raw b.vmdk -o subformat=streamOptimized
mkdir run
export XDG_RUNTIME_DIR=$tmp/run

has_lines () { [ "$(wc -l <"$1")" -ge "$2" ]; }

# serve N ARG…: start it, wait for N lines in the file "uris".
serve ()
{
  local n=$1

  shift
  : >uris
  rawview serve "$@" >uris &
  server=$!
  cleanup_fn stop_process "$server"
  wait_until 30 has_lines uris "$n" || fail "no URI: rawview serve $*"
  line_count uris "$n"
}

# ended: it does so with success, when asked.
ended ()
{
  kill "$server"
  wait "$server" || fail "status $? at the end"
}

# One image, a socket of its own that only we can reach.
serve 1 'a disk.qcow2'
uri=$(cat uris)
[ "$(stat -c %a run/rawview-*)" = 700 ] || fail 'others can reach the socket'
[ "$(nbdinfo --size "$uri")" -eq 12582912 ] || fail 'wrong size'
nbdcopy "$uri" copy.raw
same disk.raw copy.raw
ended
[ -z "$(ls run)" ] || fail "this is left: $(ls run/*)"

# A socket in a given place, named exports, several images.
serve 2 --socket here.sock --name first --name 'second & last' \
  'a disk.qcow2' b.vmdk
sed -n 1p uris | grep -q '^nbd+unix:///first?socket=/.*/here\.sock$' ||
  fail "wrong URI: $(cat uris)"
while read -r uri; do
  rm -f copy.raw
  nbdcopy "$uri" copy.raw
  same disk.raw copy.raw
done <uris
nbdinfo --list --json "nbd+unix:///?socket=$tmp/here.sock" >list
matches list '"second & last"'
# The place is taken.
refused err rawview serve --socket here.sock b.vmdk
line_count err 1
matches err 'another server'
nbdinfo --size "nbd+unix:///?socket=$tmp/here.sock" >size ||
  fail 'the first server has suffered'
ended
[ ! -e here.sock ] || fail 'the socket is left'

# Names of the files' own.
serve 2 --socket here.sock 'a disk.qcow2' b.vmdk
matches uris '/a%20disk\.qcow2\?socket='
kill -KILL "$server"
wait "$server" 2>/dev/null || :
rm -r run/rawview-* # nobody was left to do it
# The dead socket is no obstacle, and nbdkit has ended with its parent.
unreachable () { ! nbdinfo "nbd+unix:///?socket=$tmp/here.sock" 2>err; }
wait_until 30 unreachable || fail 'nbdkit has outlived its parent'
serve 1 --socket here.sock b.vmdk
ended

# A folder.
mkdir images
ln 'a disk.qcow2' b.vmdk images
serve 2 images
while read -r uri; do
  [ "$(nbdinfo --size "$uri")" -eq 12582912 ] || fail "wrong size: $uri"
done <uris
ended

# TCP, on a port that is free.
port=$(python3 -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
serve 1 --port "$port" --ipaddr 127.0.0.1 b.vmdk
[ "$(cat uris)" = "nbd://127.0.0.1:$port/b.vmdk" ] || fail "$(cat uris)"
[ "$(nbdinfo --size "$(cat uris)")" -eq 12582912 ] || fail 'wrong size'
ended
[ -z "$(ls run)" ] || fail "this is left: $(ls run/*)"

# What cannot be opened is told like by any other command, and nothing starts.
truncate -s 1M nothing
status=0
rawview serve nothing >out 2>err || status=$?
[ "$status" -eq 3 ] || fail "status $status"
line_count err 1
[ ! -s out ] || fail 'there was output'
[ -z "$(ls run)" ] || fail "this is left: $(ls run/*)"
