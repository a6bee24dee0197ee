#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGTERM, SIGINT and SIGHUP unmount and leave nothing behind.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c
touch "$tmp/view"
for signal in TERM INT HUP; do
  mount_view "$tmp/disk.qcow2" "$tmp/view"
  same "$tmp/disk.raw" "$tmp/view"
  kill -$signal "$view_pid"
  wait_until 30 has_ended "$view_pid" || fail "SIG$signal does not end it"
  ! is_mounted "$tmp/view" || fail "SIG$signal leaves the mount"
  [ ! -e "$tmp/view.pid" ] || fail "SIG$signal leaves the pid file"
done

# In the foreground the status is 0.
for single in '' -s; do
  # shellcheck disable=SC2086
  mount_view_in_foreground "$tmp/log" $single "$tmp/disk.qcow2" "$tmp/view"
  same "$tmp/disk.raw" "$tmp/view"
  kill "$view_pid"
  wait "$view_pid" || fail "exit status $?"
  line_count "$tmp/log" 0
done
