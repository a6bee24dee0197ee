#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an administrator should know is said once, when the image is opened.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
serve format=raw "$tmp/disk.qcow2"
line_count "$nbdkit_log" 1
matches "$nbdkit_log" '^nbdkit: rawview: .*/disk\.qcow2: .*looks like qcow2'
reads_as "$uri" "$tmp/disk.qcow2"
reads_as "$uri" "$tmp/disk.qcow2"
line_count "$nbdkit_log" 1
