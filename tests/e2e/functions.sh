# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced first by every end-to-end test; adds to tests/functions.sh what
# tests with a whole guest need.
#
# A test that cannot run here says why and exits with 77; so that nobody takes
# that for a success, RAWVIEW_E2E_STRICT=1 makes it a failure.

# Copies of the guest's disk do not belong into a RAM disk.
TMPDIR=${TMPDIR:-/var/tmp}

# shellcheck source=tests/functions.sh
. "$RAWVIEW_SRCDIR/tests/functions.sh"

here=$RAWVIEW_SRCDIR/tests/e2e

# The appliance of libguestfs.  /dev/kvm can be there and yet start nothing,
# so emulate; on a machine where it is known to work set this to nothing.
export LIBGUESTFS_BACKEND=${LIBGUESTFS_BACKEND-direct}
export LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}

skip ()
{
  [ -z "${RAWVIEW_E2E_STRICT-}" ] || fail "cannot run here: $*"
  echo "$test_name: skipped: $*"
  exit 77
}

# bounded SECONDS PROGRAM [ARG…]: a hang has to end as a failure.
bounded () { timeout --kill-after=10 "$@"; }

#--- rawviewfs

# start_rawviewfs SOURCE FILE: make SOURCE appear as the raw file FILE, until
# stop_rawviewfs or the end of the test.  Returns 1 if that does not work.
start_rawviewfs ()
{
  local source=$1 file=$2

  : >"$file"
  cleanup_fn stop_rawviewfs "$file"
  bounded 60 rawviewfs --pid-file="$file.pid" "$source" "$file" </dev/null &&
    is_mounted "$file"
}

is_mounted () { findmnt --noheadings --mountpoint "$1" >/dev/null; }

# stop_rawviewfs FILE: unmount, and wait for the process, which ends only after
# umount has returned.  Returns 1 if one of them did not go well; no harm if
# there is nothing to stop.
stop_rawviewfs ()
{
  local file=$1 pid='' status=0

  [ ! -s "$file.pid" ] || pid=$(cat "$file.pid")
  if is_mounted "$file" && ! umount "$file"; then
    umount --lazy "$file"
    status=1
  fi
  if [ -n "$pid" ] && ! wait_until 30 process_is_gone "$pid"; then
    echo "$test_name: rawviewfs is still there after umount" >&2
    kill -KILL "$pid"
    status=1
  fi
  return $status
}

#--- The guest

# What all tests of a whole guest need.
requires_guest ()
{
  [ "$(id -u)" -eq 0 ] || skip "run this as root"
  requires qemu-img --version
  requires findmnt --version
  requires test -c /dev/fuse
  requires nbdkit rawview --version
  requires rawviewfs --version
}

# use_guest: makes $guest, the raw disk, which is shared: do not write to it.
use_guest ()
{
  local dir

  dir=$("$here/make-guest")
  guest=$dir/guest.raw
}

# use_format NAME: makes $image from $guest, in $tmp.
use_format ()
{
  "$here/make-formats" "$guest" "$tmp" "$1"
  # shellcheck disable=SC2034 # for the test
  image=$("$here/make-formats" --path "$1" "$tmp")
}
