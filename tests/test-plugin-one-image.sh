#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One image is one export, called after its file, and the default one.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/my disk.qcow2"
serve "$tmp/my disk.qcow2"

nbdinfo --list "$uri" >"$tmp/list"
[ "$(grep -c '^export=' "$tmp/list")" -eq 1 ] || fail 'not one export'
matches "$tmp/list" '^export="my disk\.qcow2":$'

# Clients that ask for no name are told the name, and a description.
nbdinfo "$uri" >"$tmp/info"
matches "$tmp/info" '^export="my disk\.qcow2":$'
matches "$tmp/info" 'description: qcow2, 12582912 bytes$'
matches "$tmp/info" 'export-size: 12582912 '

reads_as "$uri" "$tmp/disk.raw"
reads_as "$(uri_of my%20disk.qcow2)" "$tmp/disk.raw"

refused "$tmp/said" nbdinfo "$(uri_of other.qcow2)"
matches "$tmp/said" 'No such file or directory'
