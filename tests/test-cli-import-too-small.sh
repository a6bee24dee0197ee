#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A destination that is too small for its disk: not a byte is written, neither
# there nor to the destinations of other disks.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires nbdkit file --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
make_image qcow2 disk.raw b.qcow2
echo 'was here' >used.raw
cp used.raw used.copy

head -c 11M /dev/urandom >small
cp small small.copy
start_nbdkit -P pid -U "$tmp/sock" file small
for option in '' --dry-run; do
  # shellcheck disable=SC2086
  refused err rawview import $option --force a.qcow2 b.qcow2 \
    --to used.raw --to "nbd+unix:///?socket=$tmp/sock"
  line_count err 1
  matches err 'sock: has 11534336 bytes, the disk needs 12582912'
  same small.copy small
  same used.copy used.raw
done

if [ "$(id -u)" -eq 0 ] && device=$(losetup --find --show small 2>/dev/null); then
  cleanup_fn losetup --detach "$device"
  refused err rawview import a.qcow2 b.qcow2 --to new.raw --to "$device"
  matches err "$device: has 11534336 bytes, the disk needs 12582912"
  same small.copy small
  [ ! -e new.raw ] || fail 'the other destination was made'
fi
