#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# info as text has the lines of qemu-img info, also nested ones.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk"
qemu-img snapshot -c before "$tmp/disk.qcow2"

# Lines of qemu-img that must be there, but for the order of the details.
rawview info "$tmp/disk.qcow2" >"$tmp/info"
qemu-img info "$tmp/disk.qcow2" | grep -Ev '^(ID|1) ' | sort >"$tmp/theirs"
sort "$tmp/info" | comm -13 - "$tmp/theirs" >"$tmp/missing"
[ ! -s "$tmp/missing" ] || { cat "$tmp/missing" "$tmp/info"; fail 'missing'; }
matches "$tmp/info" '^1 +before +0 B +20[0-9-]+ [0-9:]+ +00:00:00\.000'

rawview info "$tmp/disk.vmdk" >"$tmp/info"
matches "$tmp/info" '^file format: vmdk$'
matches "$tmp/info" '^virtual size: 12 MiB \(12582912 bytes\)$'
matches "$tmp/info" '^disk size: [0-9.]+ [KM]iB$'
matches "$tmp/info" '^cluster_size: 65536$'
matches "$tmp/info" '^    create type: monolithicSparse$'
