#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest without drivers for virtio, on a QCOW2 image, is imported into a
# volume of libvirt that is created for it.  libvirt starts the domain that the
# import has described.

[ -n "${RAWVIEW_E2E_ALONE-}" ] ||
  RAWVIEW_E2E_ALONE=1 exec unshare --mount "$BASH" "$0" "$@"

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"
# shellcheck source=tests/e2e/functions-import.sh
. "$here/functions-import.sh"
# shellcheck source=tests/e2e/functions-libvirt.sh
. "$here/functions-libvirt.sh"

requires_import
requires libvirtd --version
requires command virsh --version
requires virt-xml-validate --help

# The domain, on a machine that only emulates, with its console in a file.
prepare_domain ()
{
  console=$tmp/console.log
  sed -e 's/<domain type="[a-z]*"/<domain type="qemu"/' -e '/<cpu mode=/d' \
      -e '/<console type="pty"\/>/d' \
      -e "s|<serial type=\"pty\"/>|<serial type=\"file\"><source path=\"$console\"/></serial>|" \
      "$1" >"$tmp/domain.xml"
  matches "$tmp/domain.xml" "$console"
}

use_guest
use_format qcow2-zlib "$ide_guest"
remember_sources "$image"
start_libvirt
mkdir "$tmp/pool"
virsh pool-create-as guests dir --target "$tmp/pool" >/dev/null

import_guest "$image" --name web1 --to libvirt:guests/web1.qcow2 \
  --output-xml "$tmp/guest.xml"

sources_are_unchanged
only_there "$tmp/pool" web1.qcow2
virsh vol-info --pool guests web1.qcow2 >"$tmp/vol.log" ||
  fail 'libvirt does not know the volume'
is_large qcow2 "$tmp/pool/web1.qcow2" "$ide_guest"
virt-xml-validate "$tmp/guest.xml" domain >"$tmp/validate.log" 2>&1 ||
  { cat "$tmp/validate.log" "$tmp/guest.xml" >&2; fail 'the XML is not valid'; }
matches "$tmp/guest.xml" 'bus="virtio"'

start=$SECONDS
prepare_domain "$tmp/guest.xml"
virsh create "$tmp/domain.xml" ||
  { cat "$tmp/domain.xml" >&2; fail 'libvirt does not start the domain'; }
cleanup_fn virsh destroy web1
says 900 RAWVIEW-GUEST-UP
echo "ok: libvirt starts it ($((SECONDS - start)) s)"
