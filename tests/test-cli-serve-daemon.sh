#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# serve --daemon comes back when the server can be used, which goes on without
# its terminal; serve --run serves for a command.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires nbdinfo --version
requires_nbdkit
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2

# The output is read to its end, so the daemon must have let go of it.
uri=$(rawview serve --daemon --socket sock --pid-file pid disk.qcow2)
wait_until 10 test -s pid || fail 'no pid file'
cleanup_fn stop_process "$(cat pid)"
[ "$(nbdinfo --size "$uri")" -eq 12582912 ] || fail 'wrong size'
kill "$(cat pid)"
wait_until 30 process_is_gone "$(cat pid)" || fail 'it does not end'

# Its socket is left and in nobody's way.
uri=$(rawview serve --daemon --socket sock --pid-file pid disk.qcow2)
wait_until 10 test -s pid || fail 'no pid file'
cleanup_fn stop_process "$(cat pid)"
nbdinfo --size "$uri" >/dev/null

# What nbdkit refuses is a failure, not a daemon.
refused err rawview serve --daemon --socket other --nbdkit=--nosuch disk.qcow2
[ ! -e other ] || fail 'a socket is left'

[ "$(rawview serve --run 'nbdinfo --size "$uri"' disk.qcow2)" = 12582912 ] ||
  fail 'wrong size'
status=0
rawview serve --run 'exit 42' disk.qcow2 || status=$?
[ "$status" -eq 42 ] || fail "status $status is not the command's"
