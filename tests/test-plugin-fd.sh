#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fd= serves a file that is already open, also one whose name is no longer there.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
exec 7<"$tmp/disk.qcow2"
rm "$tmp/disk.qcow2"

serve fd=7
reads_as "$uri" "$tmp/disk.raw"

serve "export=system:" fd=7
nbdinfo --list "$uri" >"$tmp/list"
matches "$tmp/list" '^export="system":$'
reads_as "$(uri_of system)" "$tmp/disk.raw"
