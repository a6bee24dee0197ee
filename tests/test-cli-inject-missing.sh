#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an injection needs is looked for before anything starts, and named with
# the package that has it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
cd "$tmp"
use_run_dir
use_stand_in
mkdir in empty
make_raw disk.raw
make_image qcow2 disk.raw in/disk.qcow2
sha256sum in/disk.qcow2 >sums

# missing STATUS REGEX [NAME=VALUE…]: with this environment, one line says so.
missing ()
{
  local expected=$1 regex=$2 status=0 i

  shift 2
  for i in --check --overlay=over.qcow2; do
    status=0
    env "$@" rawview inject "$i" in/disk.qcow2 >out 2>err || status=$?
    [ "$status" -eq "$expected" ] || fail "status $status: $(cat err)"
    line_count err 1
    matches err "$regex"
    [ ! -e "$notes/pid" ] || fail 'virt-v2v was run'
  done
  [ ! -e over.qcow2 ] || fail 'there is an overlay'
  ! compgen -G '*.log' >/dev/null || fail 'there is a log'
  no_folders run || fail "this is left: $(ls run/*)"
}

missing 4 'package virt-v2v' RAWVIEW_VIRT_V2V_IN_PLACE="$tmp/none"
missing 4 'of its version is not understood' \
  RAWVIEW_VIRT_V2V_IN_PLACE=echo
missing 1 'libguestfs keeps its appliance' LIBGUESTFS_CACHEDIR="$tmp/none"

# An encrypted disk's keys that others could read.
echo '{}' >vault
chmod 644 vault
status=0
rawview inject --check --luks-keys-vault=vault in/disk.qcow2 2>err || status=$?
[ "$status" -eq 6 ] || fail "status $status: $(cat err)"
matches err 'vault'
chmod 600 vault
rawview inject --check --luks-keys-vault=vault in/disk.qcow2

# guestfish only if it is needed.
RAWVIEW_GUESTFISH=$tmp/none rawview inject --check in/disk.qcow2
status=0
RAWVIEW_GUESTFISH=$tmp/none rawview inject --check --no-guest-agent \
  in/disk.qcow2 2>err || status=$?
[ "$status" -eq 4 ] || fail "status $status: $(cat err)"
matches err 'package guestfish'

# Drivers for Windows, which is known by its file system.
if mkntfs --version >/dev/null 2>&1; then
  truncate -s 16M windows.raw
  mkntfs -q -F -Q windows.raw >/dev/null 2>&1
  make_image qcow2 windows.raw in/windows.qcow2
  for i in --check --overlay=over.qcow2; do
    status=0
    VIRTIO_WIN=$tmp/empty RAWVIEW_TOOLS_CONF=$tmp/none \
      rawview inject "$i" in/windows.qcow2 2>err || status=$?
    [ "$status" -ne 0 ] || fail 'it needs no drivers'
    line_count err 1
    matches err 'VIRTIO_WIN|virtio-win'
    [ ! -e "$notes/pid" ] || fail 'virt-v2v was run'
  done
  VIRTIO_WIN=$tmp/empty rawview inject --overlay=over.qcow2 --log=log \
    --no-install-drivers in/windows.qcow2 >out
  rm "$notes"/* over.qcow2 log
fi

# In a place of its own: without a kernel, and with a small cache.
in_place ()
{
  requires unshare --mount --propagation private true
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c 'eval "$1"; shift; exec "$@"' \
    sh "$@"
}

if [ "$(id -u)" -eq 0 ]; then
  status=0
  in_place 'for d in /boot /lib/modules; do
              test ! -d $d || mount -t tmpfs none $d
            done' \
    env -u LIBGUESTFS_PATH rawview inject --check in/disk.qcow2 2>err ||
    status=$?
  [ "$status" -eq 4 ] || fail "status $status: $(cat err)"
  line_count err 1
  matches err 'package linux-image'

  status=0
  in_place "mount -t tmpfs -o size=512M none '$tmp/empty'" \
    env LIBGUESTFS_CACHEDIR="$tmp/empty" \
    rawview inject --check in/disk.qcow2 2>err || status=$?
  [ "$status" -eq 1 ] || fail "status $status: $(cat err)"
  matches err '512 MiB left, and needs 1 GiB'
fi

sha256sum --quiet -c sums || fail 'an image has changed'
