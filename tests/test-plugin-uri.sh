#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that an NBD server has is served like a file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/a.qcow2" -c
make_image vmdk "$tmp/disk.raw" "$tmp/b.vmdk" -o subformat=streamOptimized
start_nbdkit -P "$tmp/far.pid" -U "$tmp/far.sock" file dir="$tmp" \
  2>"$tmp/far.log"

far () { echo "nbd+unix:///$1?socket=$tmp/far.sock"; }

serve "$(far a.qcow2)"
reads_as "$uri" "$tmp/disk.raw"

serve "export=a:$(far a.qcow2)" "export=b:$(far b.vmdk)" connections=1
reads_as "$(uri_of a)" "$tmp/disk.raw"
reads_as "$(uri_of b)" "$tmp/disk.raw"
