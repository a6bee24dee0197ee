#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The real virt-v2v takes a phony Windows for one and puts the drivers into it
# that it is given, in an overlay, which then becomes part of the QCOW2 image.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-import.sh
. "$here/functions-import.sh"

requires_import
requires command -v hivexregedit
requires command -v mkntfs
requires command -v ntfscat

# file_in_guest PATH: its contents; the partition is in $tmp/part.
file_in_guest ()
{
  ntfscat -f "$tmp/part" "$1" 2>"$tmp/ntfscat.log" ||
    fail "there is no $1 in the guest"
}

# has_placeholder PATH FILE: FILE of ours has come there.
has_placeholder ()
{
  file_in_guest "$1" >"$tmp/file"
  same "$tmp/file" "$2"
}

"$here/make-windows" "$tmp"
mkdir "$tmp/guest"
image=$tmp/guest/windows.qcow2
make_image qcow2 "$tmp/windows.raw" "$image"

start=$SECONDS
bounded 1500 rawview inject --commit --log="$tmp/inject-v2v.log" \
  --virtio-win="$tmp/virtio-win" --virt-tools="$tmp/virt-tools" "$image" \
  >"$tmp/inject.log" 2>&1 || fail 'rawview inject'
echo "ok: virt-v2v has worked on it ($((SECONDS - start)) s)"

only_there "$tmp/guest" windows.qcow2
qemu-img check -q "$image" || fail 'qemu-img check of the image'
qemu-img convert -f qcow2 -O raw "$image" "$tmp/after.raw"
dd if="$tmp/after.raw" of="$tmp/part" bs=1M skip=1 count=254 conv=sparse \
  status=none
drivers=$tmp/virtio-win
has_placeholder Windows/System32/drivers/viostor.sys \
  "$drivers/viostor/w7/amd64/viostor.sys"
has_placeholder Windows/Drivers/VirtIO/netkvm.inf \
  "$drivers/netkvm/w7/amd64/netkvm.inf"
has_placeholder 'Program Files/Guestfs/Firstboot/rhsrvany.exe' \
  "$tmp/virt-tools/rhsrvany.exe"
file_in_guest Windows/System32/config/SYSTEM >"$tmp/SYSTEM"
hivexregedit --export "$tmp/SYSTEM" '\ControlSet001\Services\viostor' \
  >"$tmp/viostor.reg"
matches "$tmp/viostor.reg" '^"Start"=dword:00000000'
