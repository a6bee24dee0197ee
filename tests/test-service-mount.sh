#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What rawviewfs@.service starts needs no more privileges than it has there, and
# makes no system call that the unit forbids.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-service.sh"
requires_fuse
requires test "$(id -u)" -eq 0
requires setpriv --no-new-privs true

make_raw "$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/vm.qcow2"
unit=$made/rawviewfs@.service
export RAWVIEWFS_SOURCE=$tmp/images RAWVIEWFS_MOUNTPOINT=$tmp/view
export RAWVIEWFS_OPTIONS=--references=none

capabilities=-all
read -ra names < <(sed -n 's/^CapabilityBoundingSet=//p' "$unit")
for c in "${names[@]#CAP_}"; do
  capabilities+=,+${c,,}
done

# start COMMAND [ARG…]
start ()
{
  local command

  eval "command=($(command_of "$unit" | sed "s|/run/[^ ]*\.pid|$tmp/view.pid|"))"
  "$@" "${command[@]}"
  view_pid=$(cat "$tmp/view.pid")
  cleanup_fn end_view "$tmp/view" "$view_pid"
}

start setpriv --no-new-privs --bounding-set="$capabilities" --inh-caps=-all
same "$tmp/disk.raw" "$tmp/view/vm.qcow2.raw"
kill "$view_pid"
wait_until 30 is_not_mounted "$tmp/view" || fail 'it is still mounted'
wait_until 30 has_ended "$view_pid" || fail 'the daemon is still there'

# A sanitizer has calls of its own.
[ -z "${RAWVIEW_ASAN_LIBRARY-}" ] || exit 0
requires strace -f true
requires systemd-analyze --version
start strace -D -f -o "$tmp/calls"
same "$tmp/disk.raw" "$tmp/view/vm.qcow2.raw"
kill "$view_pid"
wait_until 30 has_ended "$view_pid" || fail 'the daemon is still there'
wait_until 30 grep -q "^$view_pid .*exited with" "$tmp/calls" ||
  fail 'strace saw no end'
permits "$unit" "$tmp/calls"
