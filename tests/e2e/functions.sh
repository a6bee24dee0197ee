# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced first by every end-to-end test; adds to tests/functions.sh what
# tests with a whole guest need.

# Copies of the guest's disk do not belong into a RAM disk.
TMPDIR=${TMPDIR:-/var/tmp}

# shellcheck source=tests/functions.sh
. "$RAWVIEW_SRCDIR/tests/functions.sh"
# shellcheck source=tests/functions-fuse.sh
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"

here=$RAWVIEW_SRCDIR/tests/e2e

# The appliance of libguestfs.  /dev/kvm can be there and yet start nothing,
# so emulate; on a machine where it is known to work set this to nothing.
export LIBGUESTFS_BACKEND=${LIBGUESTFS_BACKEND-direct}
export LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}
# QEMU translates code for each address anew that it is seen at.  So that this is
# the same in all processes, of which there are thousands when an initramfs is
# built, addresses are not random.
export LIBGUESTFS_APPEND=${LIBGUESTFS_APPEND-norandmaps}

# bounded SECONDS PROGRAM [ARG…]: a hang has to end as a failure.  In the test's
# own process group, so that who ends the test ends the program.
bounded () { timeout --foreground --kill-after=10 "$@"; }

# What all tests of a whole guest need.
requires_guest ()
{
  [ "$(id -u)" -eq 0 ] || skip 'only root can make the guest'
  requires qemu-img --version
  requires_nbdkit
  requires_fuse
}

# Where make-guest puts the file systems, in MiB.
# shellcheck disable=SC2034 # for the tests
root_start=1 root_len=2007 boot_start=2008 boot_len=192

# use_guest: makes $guest and $ide_guest, which needs drivers before it can boot
# from virtio.  Both are raw disks, and shared: do not write to them.
use_guest ()
{
  local dir

  dir=$("$here/make-guest")
  # shellcheck disable=SC2034 # for the test
  guest=$dir/guest.raw ide_guest=$dir/guest-ide.raw
}

# use_format NAME [RAW]: makes $image from RAW, by default $guest, in $tmp.
use_format ()
{
  "$here/make-formats" "${2-$guest}" "$tmp" "$1"
  # shellcheck disable=SC2034 # for the test
  image=$("$here/make-formats" --path "$1" "$tmp")
}

# view_image: mounts $image as the file $view, until unmount_view "$view".
# Unlike mount_view it says by its status whether that worked.
view_image ()
{
  view=$tmp/view.raw
  touch "$view"
  mount_view "$image" "$view"
  is_mounted "$view"
}
