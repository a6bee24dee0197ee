#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# An appliance (OVA) whose system is on two disks, /boot on the first, the rest
# on the second, without drivers for virtio, is imported into two QCOW2 files,
# from which it boots as virtio disks.  The guest agent is not wanted, so nothing
# of virt-v2v's waits in the guest for its first boot.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"
# shellcheck source=tests/e2e/functions-import.sh
. "$here/functions-import.sh"

requires_import
requires virt-xml-validate --help
requires e2fsck -V
requires debugfs -V

copy_mib () # FROM TO START LEN
{
  dd if="$1" of="$2" bs=1M skip="$3" seek="$3" count="$4" \
    conv=sparse,notrunc status=none
}

# split_guest: $ide_guest becomes boot.raw and root.raw.
split_guest ()
{
  truncate -s "$(stat -c %s "$ide_guest")" "$tmp/boot.raw"
  copy_mib "$ide_guest" "$tmp/boot.raw" 0 "$root_start"
  copy_mib "$ide_guest" "$tmp/boot.raw" "$boot_start" "$boot_len"
  sfdisk -q --delete "$tmp/boot.raw" 1

  truncate -s $((root_start + root_len))M "$tmp/root.raw"
  sfdisk -q "$tmp/root.raw" <<-END
	label: dos
	start=$((root_start * 2048)), size=$((root_len * 2048)), type=83
	END
  copy_mib "$ide_guest" "$tmp/root.raw" "$root_start" "$root_len"
}

# The root file system has what it should have, and not what it should not.
check_root ()
{
  qemu-img convert -f qcow2 -O raw "$tmp/to/root.qcow2" "$tmp/after.raw"
  dd if="$tmp/after.raw" of="$tmp/root.fs" bs=1M skip="$root_start" \
    count="$root_len" conv=sparse status=none
  rm "$tmp/after.raw"
  e2fsck -fn "$tmp/root.fs" >"$tmp/e2fsck.log" 2>&1 ||
    { cat "$tmp/e2fsck.log" >&2; fail 'the root file system is not clean'; }
  debugfs -R 'cat /etc/initramfs-tools/modules' "$tmp/root.fs" \
    >"$tmp/modules" 2>/dev/null
  matches "$tmp/modules" '^virtio_blk$'
  # Its folder was made, so that its being empty says something.
  debugfs -R 'ls -p /usr/lib/virt-sysprep/scripts' "$tmp/root.fs" \
    2>/dev/null | cut -d / -f 6 | grep . >"$tmp/scripts"
  printf '%s\n' . .. | diff - "$tmp/scripts" ||
    fail 'scripts wait for the first boot'
}

use_guest
split_guest
"$here/make-formats" --ova "$tmp/guest.ova" "$tmp/boot.raw" "$tmp/root.raw"
remember_sources "$tmp/guest.ova"
mkdir "$tmp/to"

import_guest "$tmp/guest.ova" --no-guest-agent --to "$tmp/to/boot.qcow2" \
  --to "$tmp/to/root.qcow2" --output-xml "$tmp/guest.xml"

sources_are_unchanged
only_there "$tmp/to" boot.qcow2 root.qcow2
is_large qcow2 "$tmp/to/boot.qcow2" "$tmp/boot.raw"
is_large qcow2 "$tmp/to/root.qcow2" "$tmp/root.raw"
qemu-img check -q "$tmp/to/boot.qcow2" || fail 'qemu-img check of the first'
qemu-img check -q "$tmp/to/root.qcow2" || fail 'qemu-img check of the second'
virt-xml-validate "$tmp/guest.xml" domain >"$tmp/validate.log" 2>&1 ||
  { cat "$tmp/validate.log" "$tmp/guest.xml" >&2; fail 'the XML is not valid'; }
matches "$tmp/guest.xml" '<name>guest</name>'
check_root
boots_from_virtio -drive "$(virtio_disk qcow2 "$tmp/to/boot.qcow2")" \
  -drive "$(virtio_disk qcow2 "$tmp/to/root.qcow2")"
