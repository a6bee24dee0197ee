#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# "rawview inspect --full" finds in an import what virt-inspector finds in the
# disk that the import was made of, and the drivers that its initramfs has.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"

requires_guest
requires virt-inspector --version
requires lsinitramfs -h
requires jq --version

# same_as_inspector KEY XPATH: of the first operating system of both.
same_as_inspector ()
{
  local ours theirs

  ours=$(jq -r ".operatingsystems[0]$1" "$tmp/found.json")
  theirs=$(virt-inspector --xpath "string(//operatingsystem/$2)" \
    <"$tmp/inspect.xml")
  [ "$ours" = "$theirs" ] || fail "$1: \"$ours\", not \"$theirs\""
}

# driver NAME: where lsinitramfs and the name of the module say it is.
driver ()
{
  local found

  found=$(jq -r ".operatingsystems[0].kernels[0].$1" "$tmp/found.json")
  if grep -q "/$1\\.ko" "$tmp/initramfs"; then
    [ "$found" = initramfs ] || fail "$1: \"$found\", but it is in the initramfs"
  else
    [ "$found" != initramfs ] || fail "$1 is not in the initramfs"
  fi
  echo "ok: $1: $found"
}

use_guest
start=$SECONDS
bounded 400 virt-inspector --no-applications --no-icon --format=raw -a "$guest" \
  >"$tmp/inspect.xml" || fail 'virt-inspector failed'
echo "virt-inspector: $((SECONDS - start)) s"

use_format streamOptimized
start=$SECONDS
bounded 400 rawview inspect --full --json "$image" >"$tmp/found.json" ||
  fail 'inspect --full failed'
echo "inspect --full: $((SECONDS - start)) s"
cat "$tmp/found.json"

[ "$(jq '.operatingsystems | length' "$tmp/found.json")" = 1 ] ||
  fail 'there should be one operating system'
for key in name arch distro product_name major_version minor_version hostname \
  osinfo; do
  same_as_inspector ".$key" "$key"
done
same_as_inspector .root root
same_as_inspector '.mountpoints["/"]' 'mountpoints/mountpoint[text()="/"]/@dev'
same_as_inspector '.mountpoints["/boot"]' \
  'mountpoints/mountpoint[text()="/boot"]/@dev'
[ "$(jq '.operatingsystems[0].kernels | length' "$tmp/found.json")" = 1 ] ||
  fail 'there should be one kernel'
lsinitramfs "${guest%/*}/initrd.img" >"$tmp/initramfs"
driver virtio_blk
driver virtio_scsi
[ "$(jq -r .system "$tmp/found.json")" = linux ] || fail 'system'
[ "$(jq -r .firmware "$tmp/found.json")" = bios ] || fail 'firmware'
