#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# virt-inspector finds the same operating system in a guest's disk whether it
# reads an import over NBD or as a file under FUSE.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"

requires_guest
requires virt-inspector --version

# inspect WHAT DRIVE: DRIVE is what "virt-inspector -a" takes.
inspect ()
{
  local what=$1 drive=$2 start=$SECONDS found

  bounded 300 \
    virt-inspector --no-applications --no-icon --format=raw -a "$drive" \
      >"$tmp/inspect.xml" || fail "$what: virt-inspector failed"
  found=$(virt-inspector <"$tmp/inspect.xml" --xpath "concat(
            //operatingsystem/name, ' ',
            //operatingsystem/distro, ' ',
            //operatingsystem/major_version, ' ',
            //operatingsystem/hostname, ' ',
            //mountpoint[text()='/']/@dev, ' ',
            //mountpoint[text()='/boot']/@dev)")
  if [ "$found" != 'linux debian 12 rawview-guest /dev/sda1 /dev/sda2' ]; then
    cat "$tmp/inspect.xml" >&2
    fail "$what: found \"$found\""
  fi
  echo "ok: $what: $found ($((SECONDS - start)) s)"
}

use_guest

use_format streamOptimized
start_nbdkit -P "$tmp/pid" -U "$tmp/sock" -r rawview "$image"
inspect 'streamOptimized over NBD' "nbd://?socket=$tmp/sock"
stop_process "$(cat "$tmp/pid")"

use_format qcow2-zlib
view_image
inspect 'qcow2-zlib through FUSE' "$view"
unmount_view "$view"
