#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest that writes the header of an image into its first sectors changes
# nothing but its bytes: whoever opens the disk next reads them, or refuses it,
# and what the header refers to is not opened.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-hostile.sh"
requires_nbdkit
requires_nbdsh
requires nbdcopy --version
make_secret
make_headers "$tmp/headers"
make_raw "$tmp/disk.raw"

# guest_writes HEADER: into the disk of the last server, and into $model.
guest_writes ()
{
  header=$1 nbdsh -u "$uri" -c - <<'PY'
import os
h.pwrite(open(os.environ["header"], "rb").read(), 0)
h.flush()
PY
  put "$1" "$model"
}

# is_shown ARG…: served read-only with these arguments, it has the bytes of
# $model, and nobody has opened the secret.
is_shown ()
{
  rm -f "$tmp/shown.raw"
  # shellcheck disable=SC2016
  "${unopened[@]}" nbdkit -r -U - rawview "$@" \
    --run 'nbdcopy "$uri" '"$tmp/shown.raw" 2>"$tmp/shown.log" ||
    fail "not shown: $*: $(cat "$tmp/shown.log")"
  same "$model" "$tmp/shown.raw"
}

# is_refused ARG…: with one line: the secret is not opened, or so large a text
# is no descriptor.
is_refused ()
{
  refused "$tmp/said.log" "${unopened[@]}" nbdkit -U - rawview "$@" \
    --run "touch $tmp/served"
  line_count "$tmp/said.log" 1
  matches "$tmp/said.log" "$secret.* is not opened|a descriptor of"
  [ ! -e "$tmp/served" ] || fail "$* was served"
}

for header in "$tmp/headers"/*; do
  begin_header "$header"

  # Its raw disk.
  cp "$tmp/disk.raw" "$model"
  cp "$tmp/disk.raw" "$dir/raw.img"
  serve_rw format=raw "$dir/raw.img"
  guest_writes "$header"
  stop_server
  same "$model" "$dir/raw.img"
  is_shown format=raw "$dir/raw.img"
  matches "$tmp/shown.log" "looks like $kind"
  is_refused "$dir/raw.img"
  is_refused "export=a:$dir/raw.img"

  # Among others in a folder.
  "${unopened[@]}" nbdkit -U - rawview dir="$dir" --run "touch $tmp/served.$kind" \
    2>"$tmp/said.log" || fail 'the folder is not served'
  line_count "$tmp/said.log" 1
  matches "$tmp/said.log" 'raw\.img.*( is not opened|a descriptor of)'

  # An overlay on top of such a disk knows that it is raw.
  serve_rw format=raw "$dir/raw.img" overlay="$dir/on-image.qcow2"
  reads_as "$uri" "$model"
  stop_server
  is_shown format=raw "$dir/raw.img" overlay="$dir/on-image.qcow2"
  is_shown references="$dir" "$dir/on-image.qcow2"
  qemu-img info --output=json "$dir/on-image.qcow2" >"$tmp/info"
  matches "$tmp/info" '"backing-filename-format": "raw"'

  # Its overlay.
  cp "$tmp/disk.raw" "$model"
  cp "$tmp/disk.raw" "$dir/base.img"
  serve_rw format=raw "$dir/base.img" overlay="$dir/over.qcow2"
  guest_writes "$header"
  stop_server
  same "$tmp/disk.raw" "$dir/base.img"
  is_shown format=raw "$dir/base.img" overlay="$dir/over.qcow2"
  matches "$tmp/shown.log" "begins like a $kind image"
  is_shown references="$dir" "$dir/over.qcow2"
  is_now qcow2 "$dir/over.qcow2" "$model"

  # Its QCOW2 image.
  cp "$tmp/disk.raw" "$model"
  make_image qcow2 "$tmp/disk.raw" "$dir/image.qcow2"
  serve_rw "$dir/image.qcow2"
  guest_writes "$header"
  stop_server
  is_shown "$dir/image.qcow2"
  matches "$tmp/shown.log" "begins like a $kind image"
  is_now qcow2 "$dir/image.qcow2" "$model"

  # Its VMDK, whose extent begins with the guest's bytes.
  cp "$tmp/disk.raw" "$model"
  make_image vmdk "$tmp/disk.raw" "$dir/flat.vmdk" -o subformat=monolithicFlat
  serve_rw "$dir/flat.vmdk"
  guest_writes "$header"
  stop_server
  same "$model" "$dir/flat-flat.vmdk"
  is_shown "$dir/flat.vmdk"
  matches "$tmp/shown.log" "begins like a $kind image"
  is_refused "$dir/flat-flat.vmdk"
done
