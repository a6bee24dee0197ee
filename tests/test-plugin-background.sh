#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit goes into the background and into another folder; what was named
# relative to this one is served all the same, with its threads.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdcopy --version

make_raw "$tmp/disk.raw"
mkdir "$tmp/base" "$tmp/dir"
make_image qcow2 "$tmp/disk.raw" "$tmp/base/base.qcow2" -c
qemu-img create -q -f qcow2 -b base/base.qcow2 -F qcow2 "$tmp/over.qcow2"
qemu-img create -q -f qcow2 -u -b gone.qcow2 -F qcow2 "$tmp/dir/lost.qcow2" 12M
cp "$tmp/base/base.qcow2" "$tmp/dir"
cd "$tmp"

# background PIDFILE ARG…
background ()
{
  local pidfile=$1

  nbdkit -P "$@"
  wait_until 30 test -s "$pidfile"
  cleanup_fn stop_process "$(cat "$pidfile")"
}

sock=$tmp/1.sock
background 1.pid -U "$sock" rawview over.qcow2 references=base
reads_as "$(uri_of over.qcow2)" "$tmp/disk.raw"

sock=$tmp/2.sock
background 2.pid -U "$sock" rawview dir=dir parent-format=qcow2 2>said
matches said 'skipped: .*lost\.qcow2'
reads_as "$(uri_of base.qcow2)" "$tmp/disk.raw"

sock=$tmp/3.sock
background 3.pid -U "$sock" rawview \
  export=a:dir/lost.qcow2 parent=base/base.qcow2 \
  export=b:base/base.qcow2
reads_as "$(uri_of a)" "$tmp/disk.raw"
reads_as "$(uri_of b)" "$tmp/disk.raw"
