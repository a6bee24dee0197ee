#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A new image is one to QEMU as well; filled through the library it is clean, has
# the bytes of what was copied, and no more clusters than those have.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
requires nbdcopy --version
requires_nbdkit
cd "$tmp"

create () { "$RAWVIEW_BUILDDIR/tests/createcheck" "$@"; }

# Clusters of the image that QEMU calls data.
clusters_of ()
{
  qemu-img check -f qcow2 --output=json "$1" |
    sed -n 's/.*"allocated-clusters": \([0-9]*\).*/\1/p'
}

make_disk disk.raw 100M
qemu-img convert -f raw -O qcow2 disk.raw theirs

for how in '' preallocate; do
  # shellcheck disable=SC2086
  create "ours$how" qcow2 104857600 $how
  is_clean qcow2 "ours$how"
  qemu-img info -f qcow2 --output=json "ours$how" >info.json
  matches info.json '"virtual-size": 104857600'
  matches info.json '"cluster-size": 65536'
  matches info.json '"compat": "1.1"'
  [ "$(stat -c %a "ours$how")" = 600 ] || fail 'others may read it'
  serve_rw "ours$how"
  nbdcopy disk.raw "$uri"
  stop_server
  is_now qcow2 "ours$how" disk.raw
  [ "$(clusters_of "ours$how")" -le "$(clusters_of theirs)" ] ||
    fail "$(clusters_of "ours$how") clusters, QEMU needs $(clusters_of theirs)"
done

create flat raw 104857600
[ "$(stat -c %b flat)" -lt 100 ] || fail 'a sparse file takes space'
serve_rw flat format=raw
nbdcopy disk.raw "$uri"
stop_server
is_now raw flat disk.raw

# Killed at any moment: none, or a whole one.
for replace in '' replace; do
  for (( n = 1; ; n++ )); do
    rm -f new
    [ -z "$replace" ] || cp disk.raw new
    # shellcheck disable=SC2086
    ! KILL_AT=$n LD_PRELOAD=$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so \
      create new qcow2 1048576 $replace || break
    [ -z "$replace" ] || cmp -s new disk.raw || is_clean qcow2 new
    [ -n "$replace" ] || [ ! -e new ] || is_clean qcow2 new
  done
  [ "$n" -ge 3 ] || fail "only $n moments"
  is_clean qcow2 new
done
