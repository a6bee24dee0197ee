#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks that are shown to other programs can be read and written, in an overlay
# alone; whoever is killed, nothing stays mounted, and no server runs on.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires_nbdkit
requires nbdcopy --version
requires_nbdsh
requires test -x "$RAWVIEW_BUILDDIR/tests/exposecheck"
cd "$tmp"
use_run_dir
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2 -c
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized
sha256sum disk.qcow2 disk.vmdk >sums

has_lines () { [ "$(wc -l <"$1")" -ge "$2" ]; }

# expose N ARG…: start it, wait for N paths in the file "paths".
expose ()
{
  local n=$1

  shift
  rm -f input
  mkfifo input
  "$RAWVIEW_BUILDDIR/tests/exposecheck" "$@" <input >paths 2>said &
  program=$!
  exec 7>input
  cleanup_fn stop_process "$program"
  wait_until 30 has_lines paths "$n" || fail "not exposed: $(cat said)"
}

# ended STATUS: close its stdin and wait for it.
ended ()
{
  local status=0

  exec 7>&-
  wait "$program" || status=$?
  [ "$status" -eq "$1" ] || fail "status $status: $(cat said)"
  no_mounts "$tmp/run" || fail 'a mount is left'
  no_servers "$tmp/run" || fail 'a server is left'
}

path () { sed -n "$1p" paths; }

# Files, of two disks at once.
expose 2 files - "$tmp/disk.qcow2" "$tmp/disk.vmdk"
same disk.raw "$(path 1)"
same disk.raw "$(path 2)"
[ "$(stat -c %a run/*)" = 700 ] || fail 'others can reach the files'
! (echo x >"$(path 1)") 2>/dev/null || fail 'it can be written without overlay'
echo >&7
wait_until 30 has_lines paths 3 || fail 'it is not healthy'
ended 0
no_folders run || fail "this is left: $(ls run/*)"

# Sockets.
expose 2 sockets - "$tmp/disk.qcow2" "$tmp/disk.vmdk"
for i in 1 2; do
  nbdcopy "nbd+unix:///?socket=$(path $i)" copy.raw
  same disk.raw copy.raw
  rm copy.raw
done
ended 0
no_folders run || fail "this is left: $(ls run/*)"

# What is written is in the overlay when it has ended.
for how in files sockets; do
  rm -f over.qcow2
  expose 1 "$how" "$tmp/over.qcow2" "$tmp/disk.vmdk"
  if [ "$how" = files ]; then
    printf 'written' | dd of="$(path 1)" bs=1 seek=70000 conv=notrunc status=none
  else
    nbdsh -u "nbd+unix:///?socket=$(path 1)" -c 'h.pwrite(b"written", 70000)'
  fi
  ended 0
  cp disk.raw expected.raw
  printf 'written' | dd of=expected.raw bs=1 seek=70000 conv=notrunc status=none
  rawview copy --overlay=over.qcow2 disk.vmdk read.raw 2>/dev/null
  same expected.raw read.raw
  rm read.raw
done

# A server that fails says why, in its own words.
truncate -s 1M nothing
refused err "$RAWVIEW_BUILDDIR/tests/exposecheck" files - "$tmp/nothing"
matches err '^rawview: rawviewfs: .*nothing'
refused err "$RAWVIEW_BUILDDIR/tests/exposecheck" sockets - "$tmp/nothing"
matches err '^rawview: nbdkit: .*nothing'
no_folders run || fail "this is left: $(ls run/*)"

# One of two is killed: the other ends, and so does the mount of the dead.
for how in files sockets; do
  expose 2 "$how" - "$tmp/disk.qcow2" "$tmp/disk.vmdk"
  kill -KILL "$(cat "$(path 1 | sed 's/\.[a-z]*$/.pid/')")"
  ended 1
  matches said 'was killed by a signal'
  no_folders run || fail "this is left: $(ls run/*)"
done

# The program that has started them is killed: they end by themselves.
for how in files sockets; do
  expose 2 "$how" - "$tmp/disk.qcow2" "$tmp/disk.vmdk"
  kill -KILL "$program"
  wait "$program" 2>/dev/null || :
  wait_until 30 no_servers "$tmp/run" || fail 'a server outlives its parent'
  no_mounts "$tmp/run" || fail 'a mount is left'
  exec 7>&-
done

# All are killed at once.
expose 2 files - "$tmp/disk.qcow2" "$tmp/disk.vmdk"
dir=$(dirname "$(path 1)")
kill -STOP "$program"
pids=$(cat "$dir"/*.pid)
# shellcheck disable=SC2086
kill -KILL $pids "$program"
wait "$program" 2>/dev/null || :
wait_until 30 no_servers "$tmp/run" || fail 'a server outlives its killing'
wait_until 30 no_mounts "$tmp/run" || fail 'a dead mount is left'
exec 7>&-

# The next one removes what the dead have left, and nothing of the living.
no_folders run && fail 'there was nothing to be left'
expose 1 files - "$tmp/disk.qcow2"
first=$program
mv paths first-paths
exec 8>&7
expose 1 sockets - "$tmp/disk.vmdk"
[ "$(find run -mindepth 1 -maxdepth 1 | wc -l)" -eq 2 ] ||
  fail "not two folders: $(ls run)"
same disk.raw "$(cat first-paths)"
exec 7>&-
wait "$program" || fail 'the second has suffered'
exec 8>&-
wait "$first" || fail 'the first has suffered'
no_mounts "$tmp/run" || fail 'a mount is left'
no_folders run || fail "this is left: $(ls run/*)"

sha256sum --quiet -c sums || fail 'an image has changed'
