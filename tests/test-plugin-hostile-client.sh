#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A client that sends what the protocol forbids gets errors, the next one is
# served, and the image is clean and has the bytes that were rightly written.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'

make_raw "$tmp/disk.raw"

# withstands FORMAT FILE ARG…: FILE is what is written.
withstands ()
{
  local format=$1 file=$2

  shift 2
  cp "$tmp/disk.raw" "$tmp/model.raw"
  serve_rw "$@"
  timeout 300 python3 "$RAWVIEW_SRCDIR/tests/hostile-client.py" "$sock" \
    "$tmp/model.raw"
  stop_server
  [ "$(stat -c %s "$tmp/model.raw")" -eq 12582912 ] ||
    fail 'the model has grown'
  is_now "$format" "$file" "$tmp/model.raw"
}

cp "$tmp/disk.raw" "$tmp/raw.img"
withstands raw "$tmp/raw.img" format=raw "$tmp/raw.img"
[ "$(stat -c %s "$tmp/raw.img")" -eq 12582912 ] || fail 'raw.img has grown'

make_image qcow2 "$tmp/disk.raw" "$tmp/plain.qcow2"
withstands qcow2 "$tmp/plain.qcow2" "$tmp/plain.qcow2"

make_image vmdk "$tmp/disk.raw" "$tmp/sparse.vmdk"
withstands vmdk "$tmp/sparse.vmdk" "$tmp/sparse.vmdk"

make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" -o subformat=streamOptimized
remember "$tmp/stream.vmdk"
withstands qcow2 "$tmp/over.qcow2" "$tmp/stream.vmdk" overlay="$tmp/over.qcow2"
unchanged

# Read-only, nothing at all is changed.
cp "$tmp/plain.qcow2" "$tmp/read.qcow2"
remember "$tmp/read.qcow2"
qemu-img convert -f qcow2 -O raw "$tmp/read.qcow2" "$tmp/model.raw"
serve "$tmp/read.qcow2"
timeout 300 python3 "$RAWVIEW_SRCDIR/tests/hostile-client.py" "$sock" \
  "$tmp/model.raw"
stop_server
unchanged

# withstands_long FORMAT FILE ARG…
withstands_long ()
{
  local format=$1 file=$2

  shift 2
  serve_rw "$@"
  timeout 300 python3 "$RAWVIEW_SRCDIR/tests/hostile-client.py" "$sock" \
    "$tmp/model.raw"
  stop_server
  is_clean "$format" "$file"
}

qemu-img create -q -f qcow2 "$tmp/long.qcow2" 5G
withstands_long qcow2 "$tmp/long.qcow2" "$tmp/long.qcow2"
qemu-img create -q -f vmdk "$tmp/long.vmdk" 5G
withstands_long vmdk "$tmp/long.vmdk" "$tmp/long.vmdk"
