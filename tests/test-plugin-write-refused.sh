#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that cannot be written is served read-only, with one line in the log
# which names the reason and the way out.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" -o subformat=streamOptimized
make_image qcow2 "$tmp/disk.raw" "$tmp/snapshot.qcow2"
qemu-img snapshot -c before "$tmp/snapshot.qcow2"
remember "$tmp/stream.vmdk" "$tmp/snapshot.qcow2"

# is_refused REGEX ARG…: what serve takes.
is_refused ()
{
  local regex=$1

  shift
  serve_rw "$@"
  for _ in 1 2 3; do
    nbdsh -u "$uri" -c 'assert h.is_read_only(), "can be written"' \
      -c 'assert not h.can_trim() and not h.can_flush()' \
      -c 'assert h.can_multi_conn()'
  done
  reads_as "$uri" "$tmp/disk.raw"
  line_count "$nbdkit_log" 1
  matches "$nbdkit_log" "read-only: .*$regex.*overlay="
  stop_server
}

is_refused stream "$tmp/stream.vmdk"
is_refused snapshot "$tmp/snapshot.qcow2" snapshot=before
unchanged

# Of a folder each for itself.
mkdir "$tmp/folder"
cp "$tmp/stream.vmdk" "$tmp/folder"
make_image qcow2 "$tmp/disk.raw" "$tmp/folder/good.qcow2"
serve_rw dir="$tmp/folder"
nbdsh -u "$(uri_of stream.vmdk)" -c 'assert h.is_read_only()'
nbdsh -u "$(uri_of good.qcow2)" -c 'assert not h.is_read_only()'
line_count "$nbdkit_log" 1
matches "$nbdkit_log" 'stream\.vmdk.*read-only'
stop_server
