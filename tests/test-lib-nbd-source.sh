#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A container behind an NBD server reads the same as the file itself, whatever
# the server allows: any size of block, one client at a time, no multi-conn.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit --version
requires nbdkit file --version
requires nbdkit --filter=blocksize-policy null --version
requires nbdkit --filter=multi-conn null --version
requires qemu-nbd --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2 -c
# Whole blocks of 4 KiB: servers with such blocks cannot show half of one.
truncate -s %4K disk.qcow2

# check_source SOCKET: is the disk inside the container that is served there?
check_source ()
{
  rawview copy "nbd+unix:///?socket=$1" "$tmp/copy.raw"
  same "$tmp/disk.raw" "$tmp/copy.raw"
  rm "$tmp/copy.raw"
}

# check_nbdkit ARG…: the same for what "nbdkit ARG…" serves.
nr=0
check_nbdkit ()
{
  nr=$(( nr + 1 ))
  start_nbdkit -P "$tmp/$nr.pid" -U "$tmp/$nr.sock" "$@" 2>"$tmp/$nr.log"
  check_source "$tmp/$nr.sock"
}

check_nbdkit file disk.qcow2
check_nbdkit --filter=multi-conn file disk.qcow2 multi-conn-mode=disable
check_nbdkit --filter=blocksize-policy file disk.qcow2 blocksize-minimum=4k \
  blocksize-maximum=64k blocksize-error-policy=error

# One client at a time, who must not be kept waiting for a second connection.
qemu-nbd --fork -r -t -f raw -k "$tmp/one.sock" --pid-file="$tmp/one.pid" \
  disk.qcow2
cleanup_fn stop_process "$(cat one.pid)"
check_source "$tmp/one.sock"
