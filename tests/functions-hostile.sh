# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests of what others write on purpose, after functions.sh.

# make_secret: $secret is a file that nobody may be shown, and
# "${unopened[@]}" COMMAND [ARG…] fails if anybody opens it while the command
# runs: the kernel tells.
make_secret ()
{
  requires python3 --version
  mkdir -p "$tmp/others"
  secret=$tmp/others/secret
  seq -f 'secret %.0f' 100000 >"$secret"
  truncate -s 1M "$secret"
  # shellcheck disable=SC2034
  unopened=(python3 "$RAWVIEW_SRCDIR/tests/unopened.py" "$secret")
}

# make_headers DIR: files that begin as an image of each kind which refers to
# the secret.  A guest that writes one of them at the beginning of its disk asks
# whoever guesses the disk's format to show the secret.
make_headers ()
{
  mkdir "$1"
  qemu-img create -q -f qcow2 -u -b "$secret" -F raw "$1/qcow2" 12M
  printf '%s\n' '# Disk DescriptorFile' 'version=1' 'CID=12345678' \
    'parentCID=ffffffff' 'createType="monolithicFlat"' '' \
    "RW 2048 FLAT \"$secret\" 0" >"$1/vmdk"
  truncate -s %64K "$1"/*
}

# begin_header HEADER: of that $kind; $dir is a new folder for its images, and
# $model the file beside it with what the guest must see.
begin_header ()
{
  kind=$(basename "$1")
  dir=$tmp/$kind
  # shellcheck disable=SC2034
  model=$dir.model
  mkdir "$dir"
}

# put HEADER FILE: where a guest would write it.
put () { dd if="$1" of="$2" conv=notrunc status=none; }
