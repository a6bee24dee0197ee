#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy - DEST: a streamOptimized VMDK that comes from a pipe becomes the same
# disk as one that is read from a file.

# shellcheck disable=SC2002,SC2094 # What comes from a file could be read again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized

# Tables in front, as QEMU writes them.
cat disk.vmdk | rawview copy - copy.raw
same disk.raw copy.raw
[ "$(stat -c %b copy.raw)" -le "$(stat -c %b disk.raw)" ] ||
  fail 'the copy is not sparse'
rm copy.raw
cat disk.vmdk | rawview copy --threads=1 --sparse=0 --flush - copy.raw
same disk.raw copy.raw
rawview copy --force - copy.raw <disk.vmdk
same disk.raw copy.raw

# A file that is longer, with something in it, and other rules for files.
head -c 20M /dev/urandom >old.raw
cat disk.vmdk | rawview copy --force - old.raw
same disk.raw old.raw
status=0
cat disk.vmdk | rawview copy - old.raw 2>err || status=$?
[ "$status" -eq 6 ] || fail "status $status for a file that is not empty"
line_count err 1
status=0
rawview copy --force - disk.vmdk <disk.vmdk 2>err || status=$?
[ "$status" -eq 6 ] || fail "status $status for what is to be copied"
matches err 'is what is to be copied'
rawview info disk.vmdk >/dev/null

# Markers and a footer, as VMware writes them.
for recipe in footer progress reverse padding missing-table grains-4k \
  short-last-grain empty header; do
  rm -rf image
  mkimage "read-vmdk-stream-$recipe" image
  rm -f copy.raw
  cat image/disk.vmdk | rawview copy - copy.raw
  cmp image/expected.raw copy.raw || fail "$recipe differs"
done

# Byte by byte, as a slow network brings it.
mkimage read-vmdk-stream-footer image
rm copy.raw
dd if=image/disk.vmdk obs=7 status=none | rawview copy - copy.raw
same image/expected.raw copy.raw

# The last line of progress is the end of the disk.
rm copy.raw
cat disk.vmdk | rawview copy --progress=json - copy.raw >lines
tail -n 1 lines | grep -q '"percent": 100' || fail 'progress does not end'

# To an NBD server, whose old bytes are not those of the disk.
if nbdkit --version >/dev/null 2>&1; then
  head -c 12M /dev/urandom >served.raw
  start_nbdkit -P pid -U "$tmp/sock" file served.raw
  cat disk.vmdk | rawview copy - "nbd+unix:///?socket=$tmp/sock"
  same disk.raw served.raw
fi

# One that allows a single connection, which several threads share.
if nbdkit --filter=multi-conn null --version >/dev/null 2>&1; then
  head -c 12M /dev/urandom >single.raw
  start_nbdkit -P pid2 -U "$tmp/sock2" --filter=multi-conn file single.raw \
    multi-conn-mode=disable
  cat disk.vmdk | rawview copy --threads=4 - "nbd+unix:///?socket=$tmp/sock2"
  same disk.raw single.raw
fi
