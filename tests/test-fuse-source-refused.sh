#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A source that cannot be shown is one line and a status.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

touch "$tmp/view"
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/good.qcow2"

fails_with 1 rawviewfs "$tmp/missing" "$tmp/view"
matches "$tmp/said" "$tmp/missing"

# Nothing is guessed to be raw.
fails_with 3 rawviewfs "$tmp/disk.raw" "$tmp/view"
fails_with 3 rawviewfs --format=vmdk "$tmp/good.qcow2" "$tmp/view"

# An incompatible feature that nobody knows.
cp "$tmp/good.qcow2" "$tmp/future.qcow2"
printf '\x80' | dd of="$tmp/future.qcow2" bs=1 seek=72 conv=notrunc status=none
fails_with 4 rawviewfs "$tmp/future.qcow2" "$tmp/view"

fails_with 7 rawviewfs --max-size=1M "$tmp/good.qcow2" "$tmp/view"

make_image qcow2 "$tmp/disk.raw" "$tmp/backed.qcow2"
qemu-img rebase -q -u -f qcow2 -b /etc/passwd -F raw "$tmp/backed.qcow2"
fails_with 6 rawviewfs "$tmp/backed.qcow2" "$tmp/view"

# The pid file, too, before anything is mounted.
fails_with 1 rawviewfs --pid-file "$tmp/no/such" "$tmp/good.qcow2" "$tmp/view"
fails_with 1 rawviewfs -f --pid-file "$tmp" "$tmp/good.qcow2" "$tmp/view"
