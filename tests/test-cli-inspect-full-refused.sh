#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What inspect --full lacks on a machine is said in one line, with what to do,
# before anything is started.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
requires_inspect

cd "$tmp"
make_ext4 ext4 8 root
make_image qcow2 ext4 a.qcow2
unset LIBGUESTFS_PATH SUPERMIN_KERNEL TMPDIR

# lacks REGEX COMMAND…
lacks ()
{
  local regex=$1 status=0

  shift
  timeout 60 "$@" >out 2>said || status=$?
  [ "$status" -eq 4 ] || [ "$status" -eq 1 ] ||
    fail "status $status: $*: $(cat said)"
  [ ! -s out ] || fail "output: $*"
  line_count said 1
  matches said "^rawview: $regex"
}

timeout 60 rawview inspect --full nosuch 2>said || :
if grep -q 'was built without it' said; then
  lacks 'inspect: --full needs libguestfs' rawview inspect --full a.qcow2
  exit 0
fi

# No folder for the appliance.
if ls /boot/vmlinuz-* /lib/modules/*/modules.dep >/dev/null 2>&1; then
  lacks "libguestfs keeps its appliance in $tmp/nosuch: .*LIBGUESTFS_CACHEDIR" \
    env LIBGUESTFS_CACHEDIR="$tmp/nosuch" rawview inspect --full a.qcow2
fi

# What only root can show, in a mount namespace of its own.
requires test "$(id -u)" -eq 0
requires unshare --mount true
requires test -d /boot -a -d /lib/modules
mkdir small boot
# shellcheck disable=SC2016
in_namespace='
  mount -t tmpfs -o size=8M none "$1/small" &&
  mount --bind "$1/boot" /boot &&
  mount -t tmpfs none /lib/modules &&
  mkdir /lib/modules/1 && : >/lib/modules/1/modules.dep &&
  shift && exec "$@"'
hidden=(unshare --mount sh -c "$in_namespace" sh "$tmp")

: >boot/vmlinuz-1
lacks "libguestfs keeps its appliance in $tmp/small, which has 8 MiB left, and needs 512 MiB" \
  "${hidden[@]}" env LIBGUESTFS_CACHEDIR="$tmp/small" \
  rawview inspect --full a.qcow2
mv boot/vmlinuz-1 boot/vmlinuz-2
lacks 'libguestfs needs a kernel .* package linux-image' \
  "${hidden[@]}" rawview inspect --full a.qcow2
rm boot/vmlinuz-2
lacks 'libguestfs needs a kernel .* package linux-image' \
  "${hidden[@]}" rawview inspect --full a.qcow2

# Without it nothing of this matters.
"${hidden[@]}" rawview inspect a.qcow2 >out
matches out '^system: linux$'
