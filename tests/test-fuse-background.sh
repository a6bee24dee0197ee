#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# When rawviewfs returns, the mount and the pid file are usable.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
touch "$tmp/view"
cd "$tmp" || exit
for _ in 1 2 3 4 5; do
  rawviewfs --pid-file pid disk.qcow2 view
  pid=$(cat pid)
  cleanup_fn end_view "$tmp/view" "$pid"
  cmp view disk.raw || fail 'not usable'
  kill -0 "$pid" || fail "$pid is not its process"
  [ "$(readlink "/proc/$pid/cwd")" = / ] || fail 'it stays in its folder'
  for fd in 0 1 2; do
    [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || fail "descriptor $fd"
  done
  fusermount3 -u view
  wait_until 30 has_ended "$pid" || fail 'it does not end'
  [ ! -e pid ] || fail 'the pid file is still there'
done
