#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An empty folder has no exports, and they are served once they come.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version

make_raw "$tmp/disk.raw"
mkdir "$tmp/dir"
serve "dir=$tmp/dir"
nbdinfo --list "$uri" >"$tmp/list"
! grep '^export=' "$tmp/list" || fail 'an empty folder has an export'

make_image qcow2 "$tmp/disk.raw" "$tmp/a.qcow2"
mv "$tmp/a.qcow2" "$tmp/dir"
reads_as "$(uri_of a.qcow2)" "$tmp/disk.raw"
line_count "$nbdkit_log" 0
