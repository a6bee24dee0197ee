#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy to stdout and to a pipe: all bytes, in order, from several threads.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
truncate -s 70M disk.raw
make_image qcow2 disk.raw disk.qcow2 -c

rawview copy --threads=6 disk.qcow2 - >copy.raw
same disk.raw copy.raw
rawview copy --threads=1 disk.qcow2 - | cmp - disk.raw
mkfifo pipe
rawview copy disk.qcow2 pipe &
cmp pipe disk.raw
wait $!

# Progress does not get into the data.
rawview copy --progress=json disk.qcow2 - >copy.raw 2>lines
same disk.raw copy.raw
matches lines '"percent": 100'
