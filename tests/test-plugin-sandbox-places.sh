#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where images are opened later, only the folder that was named can be written,
# or only the folder of overlays.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_nbdkit
requires_sandbox

make_raw "$tmp/raw"
mkdir "$tmp/dir" "$tmp/overlays"
make_image qcow2 "$tmp/raw" "$tmp/dir/a.qcow2"
nbdkit () { "${misbehaving[@]}" nbdkit "$@"; }

# misbehaviour_in DIR: as misbehaviour, in a folder of the program.
misbehaviour_in ()
{
  misbehaviour
  mv "$bad" "$1/bad"
  bad=$1/bad
  misbehaving=("${misbehaving[@]/MISBEHAVE_DIR=*/MISBEHAVE_DIR=$bad}")
}

# expect RESULT WHAT…
expect ()
{
  local expected=$1 what

  shift
  for what; do
    result_of request "$what"
    [ "$result" = "$expected" ] || fail "$what: $result, not $expected"
  done
}

for mode in auto on; do
  misbehaviour
  serve_with rawview sandbox=$mode dir="$tmp/dir"
  misbehave reads_as "$(uri_of a.qcow2)" "$tmp/raw"
  # By place, not by the kind of call.
  expect EACCES create overwrite openat2
  expect EPERM truncate chmod rename unlink mkdir exec connect tcp signal
  reads_as "$(uri_of a.qcow2)" "$tmp/raw"

  misbehaviour
  serve_with rawview sandbox=$mode dir="$tmp/dir" overlay-dir="$tmp/overlays"
  misbehave reads_as "$(uri_of a.qcow2)" "$tmp/raw"
  expect EACCES create overwrite openat2 unlink rename
  expect EPERM truncate chmod mkdir exec connect tcp signal

  # What is done in that folder is allowed.
  misbehaviour_in "$tmp/overlays"
  serve_with rawview sandbox=$mode dir="$tmp/dir" overlay-dir="$tmp/overlays"
  misbehave reads_as "$(uri_of a.qcow2)" "$tmp/raw"
  expect ok create overwrite openat2 unlink rename
  expect EPERM truncate chmod mkdir exec tcp signal
  rm -rf "$bad"

  # Those of the images themselves are only read then.
  misbehaviour_in "$tmp/dir"
  serve_with rawview sandbox=$mode dir="$tmp/dir" overlay-dir="$tmp/overlays"
  misbehave reads_as "$(uri_of a.qcow2)" "$tmp/raw"
  expect EACCES create overwrite openat2 unlink rename
  rm -rf "$bad"
done
