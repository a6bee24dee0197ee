#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest without drivers for virtio, on a sparse VMDK, is imported into a raw
# file, from which it boots as a virtio disk.  Meanwhile no more than 64 MiB are
# taken beyond that file, the overlay and the appliance of libguestfs: all
# temporary files are on a file system of the test's own.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"
# shellcheck source=tests/e2e/functions-boot.sh
. "$here/functions-boot.sh"
# shellcheck source=tests/e2e/functions-import.sh
. "$here/functions-import.sh"

requires_import
requires mke2fs -V
requires losetup --version

allowed=$((64 * 1024 * 1024))

# The file system $disk, with folders for each kind of file.
make_file_system ()
{
  disk=$tmp/disk
  truncate -s 4G "$tmp/disk.fs"
  mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=0 "$tmp/disk.fs"
  mkdir "$disk"
  mount -o loop "$tmp/disk.fs" "$disk"
  cleanup_fn umount "$disk"
  mkdir "$disk"/{to,work,tmp}
}

in_use () { stat -f -c '(%b - %f) * %S' "$disk"; }

# The destination and the overlay, in bytes.
expected ()
{
  {
    find "$disk/to" -name guest.raw -printf '%b\n'
    find "$disk/work" -name '*.overlay.qcow2' -printf '%b\n'
  } 2>/dev/null | awk '{ sum += $1 * 512 } END { printf "%d", sum }'
}

# Writes a line for each moment: how much more there is.  What grows between two
# looks must not count, so what may be there is looked at last.
watch_use ()
{
  local used

  while :; do
    used=$(in_use)
    echo $(( used - before - $(expected) ))
    sleep 0.1
  done >"$tmp/use"
}

use_guest
use_format monolithicSparse "$ide_guest"
remember_sources "$image"
make_file_system
before=$(( $(in_use) ))
watch_use &
watcher=$!
cleanup_fn kill "$watcher"

import_tmp=$disk/tmp
LIBGUESTFS_CACHEDIR=${LIBGUESTFS_CACHEDIR-/var/tmp} LIBGUESTFS_TMPDIR=$disk/tmp \
  import_guest "$image" --to "$disk/to/guest.raw" --work-dir "$disk/work"

most=$(sort -n "$tmp/use" | tail -n 1)
echo "at most $((most / 1024)) KiB more than expected," \
     "in $(wc -l <"$tmp/use") looks"
[ "$(wc -l <"$tmp/use")" -ge 100 ] || fail 'that was not watched'
[ "$most" -le "$allowed" ] || fail 'that is too much'
only_there "$disk" lost+found to to/guest.raw work tmp
sources_are_unchanged
is_large raw "$disk/to/guest.raw" "$ide_guest"
boots_from_virtio -drive "$(virtio_disk raw "$disk/to/guest.raw")"
