#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An ordinary user can write, where the files' permissions let him; with
# allow_other the others only read.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires_user

chmod 755 "$tmp"
mkdir -m 777 "$tmp/run"
mkdir "$tmp/view"
chown 65534:65534 "$tmp/view"
qemu-img create -q -f vmdk "$tmp/disk.vmdk" 1M
chmod 644 "$tmp/disk.vmdk"
cp "$tmp/disk.vmdk" "$tmp/his.vmdk"
chown 65534:65534 "$tmp/his.vmdk"

# It is not his.
status=0
as_user rawviewfs --rw "$tmp/disk.vmdk" "$tmp/view" 2>"$tmp/said" || status=$?
[ "$status" -eq 6 ] || fail "status $status: $(cat "$tmp/said")"
matches "$tmp/said" 'disk\.vmdk.*overlay'
[ ! -e "$tmp/view/disk.vmdk.raw" ] || fail 'mounted'

# But an overlay may be, and so may an image.
for how in "--overlay=$tmp/run/changes.qcow2 $tmp/disk.vmdk" \
  "--rw $tmp/his.vmdk"; do
  # shellcheck disable=SC2086
  as_user rawviewfs --pid-file "$tmp/run/pid" $how "$tmp/view"
  view_pid=$(cat "$tmp/run/pid")
  cleanup_fn end_view "$tmp/view" "$view_pid"
  # shellcheck disable=SC2016
  as_user sh -c 'echo written | dd of="$1" conv=notrunc status=none' sh \
    "$tmp/view/$(basename "${how#* }").raw"
  as_user fusermount3 -u "$tmp/view"
  wait_until 30 has_ended "$view_pid" || fail 'it does not end'
done
is_clean qcow2 "$tmp/run/changes.qcow2"
is_clean vmdk "$tmp/his.vmdk"

# Everybody sees root's mount; nobody else writes.
mount_view --rw -o allow_other "$tmp/disk.vmdk" "$tmp/view"
as_user cat "$tmp/view/disk.vmdk.raw" >/dev/null
# shellcheck disable=SC2016
! as_user sh -c ': >>"$1"' sh "$tmp/view/disk.vmdk.raw" 2>/dev/null ||
  fail 'another user may write'
: >>"$tmp/view/disk.vmdk.raw"
