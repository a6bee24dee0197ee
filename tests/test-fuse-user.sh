#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An ordinary user can mount, read and unmount.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires_user

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
mkdir "$tmp/view"
chmod 755 "$tmp"
chmod 644 "$tmp/disk.raw" "$tmp/disk.qcow2"
mkdir -m 777 "$tmp/run"
chown 65534:65534 "$tmp/view"

as_user rawviewfs --pid-file "$tmp/run/pid" "$tmp/disk.qcow2" "$tmp/view"
pid=$(cat "$tmp/run/pid")
cleanup_fn end_view "$tmp/view" "$pid"
as_user cmp "$tmp/view/disk.qcow2.raw" "$tmp/disk.raw"
[ "$(as_user stat -c %u "$tmp/view/disk.qcow2.raw")" = 65534 ] || fail owner
! ls "$tmp/view" 2>/dev/null || fail 'another user may read it'
as_user fusermount3 -u "$tmp/view"
wait_until 30 has_ended "$pid" || fail 'it does not end'

as_user rawviewfs --pid-file "$tmp/run/pid" "$tmp/disk.qcow2" "$tmp/view"
pid=$(cat "$tmp/run/pid")
cleanup_fn end_view "$tmp/view" "$pid"
kill "$pid"
wait_until 30 has_ended "$pid" || fail 'SIGTERM does not end it'
! is_mounted "$tmp/view" || fail 'SIGTERM leaves the mount'
