#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mountpoint at, in or above the source is refused.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

mkdir -p "$tmp/images/inner/most" "$tmp/view"
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/a.qcow2"
ln -s "$tmp/images/inner" "$tmp/link"
touch "$tmp/file"

fails_with 2 rawviewfs "$tmp/images" "$tmp/images"
fails_with 2 rawviewfs "$tmp/images" "$tmp/images/inner"
fails_with 2 rawviewfs "$tmp/images" "$tmp/images/inner/most"
fails_with 2 rawviewfs "$tmp/images" "$tmp/link"
fails_with 2 rawviewfs "$tmp/images" "$tmp"
fails_with 2 rawviewfs "$tmp/images/a.qcow2" "$tmp/images"
fails_with 2 rawviewfs "$tmp/images/a.qcow2" "$tmp/images/a.qcow2"
ln "$tmp/images/a.qcow2" "$tmp/hard"
fails_with 2 rawviewfs "$tmp/images/a.qcow2" "$tmp/hard"

fails_with 2 rawviewfs "$tmp/images" "$tmp/file"
fails_with 1 rawviewfs "$tmp/images" "$tmp/missing"
fails_with 2 rawviewfs "$tmp/images/a.qcow2" /dev/null
