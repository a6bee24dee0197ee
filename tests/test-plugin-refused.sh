#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that cannot be served makes nbdkit end with one line and no export.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk" -o subformat=monolithicFlat

# check REGEX ARG…
check ()
{
  local regex=$1

  shift
  refused "$tmp/said.log" nbdkit -U "$tmp/sock" rawview "$@" \
    --run "touch $tmp/served"
  line_count "$tmp/said.log" 1
  matches "$tmp/said.log" "^nbdkit: error: .*$regex"
  [ ! -e "$tmp/served" ] || fail "$* was served"
  [ ! -e "$tmp/sock" ] || fail "$* had a socket"
}

check 'none\.qcow2: No such file' "$tmp/none.qcow2"
check 'format=raw' "$tmp/disk.raw"
check 'folder: use dir=' "$tmp"
check 'export=a:: no image is named' export=a:
check 'device' /dev/null
check 'folder' dir="$tmp/none"
check '' dir="$tmp/disk.qcow2"

head -c 50 "$tmp/disk.qcow2" >"$tmp/short.qcow2"
check 'short\.qcow2' "$tmp/short.qcow2"
check 'short\.qcow2' "export=a:$tmp/disk.qcow2" "export=b:$tmp/short.qcow2"

# Somebody else's file as an extent.
sed 's|disk-flat\.vmdk|/etc/passwd|' "$tmp/disk.vmdk" >"$tmp/evil.vmdk"
check '/etc/passwd' "$tmp/evil.vmdk"

qemu-img create -q -f qcow2 -u -b nbd://localhost/x -F raw "$tmp/nbd.qcow2" 1M
check 'nbd://localhost' "$tmp/nbd.qcow2"

check 'max-size' max-size=1M "$tmp/disk.qcow2"
check 'nbd' "nbd+unix:///?socket=$tmp/none.sock"
