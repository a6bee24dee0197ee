#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest boots (without KVM) from the writable export of its imported disk, over
# an overlay; it writes, trims and powers off.  Afterwards its file systems are
# clean, its files are there, the overlay is in order and smaller than before
# the trim, and not a byte of the import has changed.
#
# The second time no flush ever reaches the server: QEMU keeps them to itself.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"

requires_guest
requires qemu-system-x86_64 --version
requires e2fsck -V
requires debugfs -V

# The space that the overlay takes, in KiB.
takes () { du -k "$overlay" | cut -f 1; }

# work_in_guest: files, one of which is removed again and its space trimmed.
work_in_guest ()
{
  local before after

  says 400 RAWVIEW-GUEST-UP
  types ''
  says 120 'login:'
  types root
  says 60 'root@'
  types 'dd if=/dev/urandom of=/root/kept bs=1M count=8 status=none; sync'
  types 'dd if=/dev/urandom of=/root/gone bs=1M count=64 status=none; sync'
  types 'echo SUM-$(sha256sum </root/kept | cut -c 1-64)-MUS'
  wait_until 120 grep -aqE 'SUM-[0-9a-f]{64}-MUS' "$console" ||
    fail 'the guest does not finish writing'
  sum=$(grep -aoE 'SUM-[0-9a-f]{64}-MUS' "$console" | tail -n 1 | cut -c 5-68)
  before=$(takes)
  types 'rm /root/gone; sync; fstrim -av; echo TRIM-''MED'
  says 120 TRIM-MED
  # Without a client's flush it is the server's own epochs that give it back.
  wait_until 60 shrunk "$before" ||
    fail "fstrim left the overlay at $(takes) KiB, it had $before"
  after=$(takes)
  echo "fstrim: the overlay went from $before to $after KiB"
  types poweroff
  wait_until 120 process_is_gone "$qemu_pid" || fail 'the guest does not power off'
  exec 7>&-
}

# 64 MiB were dropped; journals and tables may take some of it.
shrunk () { [ "$(takes)" -lt $(( $1 - 40 * 1024 )) ]; }

# file_system START LEN NAME: a copy of that part of the disk must be clean.
file_system ()
{
  dd if="$tmp/after.raw" of="$tmp/$3.fs" bs=1M skip="$1" count="$2" \
    conv=sparse status=none
  e2fsck -fn "$tmp/$3.fs" >"$tmp/e2fsck.log" 2>&1 ||
    { cat "$tmp/e2fsck.log" >&2; fail "the file system $3 is not clean"; }
}

check_disk ()
{
  local found

  nbdkit -r -U - rawview "$image" overlay="$overlay" \
    --run "nbdcopy \"\$uri\" '$tmp/after.raw'"
  file_system $root_start $root_len root
  file_system $boot_start $boot_len boot
  found=$(debugfs -R 'cat /root/kept' "$tmp/root.fs" 2>/dev/null | sha256sum |
            cut -c 1-64)
  [ "$found" = "$sum" ] || fail 'what the guest wrote is not there'
  [ "$(sha256sum <"$image")" = "$import_sum" ] || fail 'the import has changed'
  qemu-img check -q "$overlay" || fail 'qemu-img check of the overlay'
}

# try FORMAT CACHE: CACHE is QEMU's cache mode.
try ()
{
  local start=$SECONDS

  use_format "$1"
  import_sum=$(sha256sum <"$image")
  overlay=$tmp/overlay.qcow2
  rm -f "$overlay" "$tmp/pid" "$tmp/sock"
  start_nbdkit -P "$tmp/pid" -U "$tmp/sock" rawview "$image" \
    overlay="$overlay" 2>"$tmp/nbdkit.log"
  boot -drive "if=virtio,format=raw,cache=$2,discard=unmap,file=nbd+unix:///?socket=$tmp/sock"
  work_in_guest
  stop_process "$(cat "$tmp/pid")"
  check_disk
  echo "ok: $1, cache=$2 ($((SECONDS - start)) s)"
  rm -f "$tmp"/*.vmdk "$tmp"/*.fs "$tmp/after.raw"
}

use_guest
try monolithicSparse writeback
try streamOptimized unsafe
