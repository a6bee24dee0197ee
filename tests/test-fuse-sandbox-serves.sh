#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In the sandbox files can be written, folders change, overlays are made, and an
# ordinary user's daemon unmounts.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_fuse
requires_sandbox
requires qemu-img --version

make_raw "$tmp/raw"
mkdir "$tmp/dir" "$tmp/view"
make_image qcow2 "$tmp/raw" "$tmp/import.qcow2"

# write_to FILE: and to $tmp/expected
write_to ()
{
  cp "$tmp/raw" "$tmp/expected"
  for file in "$1" "$tmp/expected"; do
    dd if="$tmp/raw" of="$file" bs=64K skip=3 seek=90 count=9 \
      conv=notrunc,fsync status=none
    fallocate -p -o 2M -l 1M "$file"
  done
  cmp "$1" "$tmp/expected"
}

is_written ()
{
  qemu-img compare -q -f qcow2 -F raw "$1" "$tmp/expected" ||
    fail "$1 has not got what was written"
}

for mode in auto on; do
  rm -rf "$tmp/dir" "$tmp/overlays"
  mkdir "$tmp/dir" "$tmp/overlays"
  cp "$tmp/import.qcow2" "$tmp/dir/a.qcow2"

  mount_view --sandbox=$mode --overlay-dir="$tmp/overlays" "$tmp/dir" \
    "$tmp/view"
  write_to "$tmp/view/a.qcow2.raw"
  cp "$tmp/import.qcow2" "$tmp/dir/later.qcow2"
  write_to "$tmp/view/later.qcow2.raw"
  unmount_view "$tmp/view"
  is_written "$tmp/overlays/a.qcow2.overlay.qcow2"
  is_written "$tmp/overlays/later.qcow2.overlay.qcow2"
  same "$tmp/import.qcow2" "$tmp/dir/a.qcow2"

  mount_view --sandbox=$mode --rw "$tmp/dir" "$tmp/view"
  write_to "$tmp/view/a.qcow2.raw"
  unmount_view "$tmp/view"
  is_written "$tmp/dir/a.qcow2"
done

requires_user
chmod 755 "$tmp"
chmod 644 "$tmp/import.qcow2"
mkdir -m 777 "$tmp/run"
chown 65534:65534 "$tmp/view"

for mode in auto on; do
  as_user rawviewfs --sandbox=$mode --pid-file "$tmp/run/pid" \
    "$tmp/import.qcow2" "$tmp/view"
  pid=$(cat "$tmp/run/pid")
  cleanup_fn end_view "$tmp/view" "$pid"
  grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status" ||
    fail 'it can still gain privileges'
  as_user cmp "$tmp/view/import.qcow2.raw" "$tmp/raw"
  kill "$pid"
  wait_until 30 has_ended "$pid" || fail 'SIGTERM does not end it'
  is_not_mounted "$tmp/view" || fail 'SIGTERM leaves the mount'
  [ ! -e "$tmp/run/pid" ] || fail 'the pid file was left behind'
done
