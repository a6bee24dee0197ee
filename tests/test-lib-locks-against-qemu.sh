#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# QEMU and rawview keep out of each other's way: a writer excludes everybody
# else from an image and its backing file, readers bear each other.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-nbd --version
requires qemu-io --version
requires_nbdkit
cd "$tmp"
qemu-img create -q -f qcow2 base.qcow2 8M
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 top.qcow2

# start_qemu ARG…: QEMU has an image open until stop_qemu.
start_qemu ()
{
  qemu-nbd --fork -t -k "$tmp/qemu.sock" --pid-file="$tmp/qemu.pid" "$@"
  qemu_pid=$(cat qemu.pid)
  cleanup_fn stop_process "$qemu_pid"
}
stop_qemu ()
{
  stop_process "$qemu_pid"
  rm -f qemu.pid qemu.sock
}

# QEMU writes to it.
start_qemu -f qcow2 top.qcow2
refused writer.log rawview info top.qcow2
matches writer.log 'top\.qcow2 is in use: .*open for writing.*locking=off'
rawview info --locking=off top.qcow2 >off.log
stop_qemu
rawview info --locking=on top.qcow2 >on.log

# QEMU writes to its backing file.
start_qemu -f qcow2 base.qcow2
refused base.log rawview info top.qcow2
matches base.log 'base\.qcow2 is in use: .*open for writing'
stop_qemu

# QEMU reads it.
start_qemu -r -f qcow2 top.qcow2
rawview info --locking=on top.qcow2 >reader.log
stop_qemu

# We read it, several of us.
serve top.qcow2
rawview info --locking=on top.qcow2 >second.log
refused qemu-top.log qemu-io -f qcow2 -c 'write 0 4k' top.qcow2
matches qemu-top.log 'Failed to get .*write.* lock'
refused qemu-base.log qemu-io -f qcow2 -c 'write 0 4k' base.qcow2
matches qemu-base.log 'Failed to get .*write.* lock'
qemu-io -r -f qcow2 -c 'read 0 4k' top.qcow2
qemu-img convert -f qcow2 -O raw top.qcow2 converted.raw

# We write it, once a client may.
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
serve_with rawview top.qcow2
qemu-io -f raw -c 'write -P 7 0 4k' "$uri" >write.log
refused reading.log qemu-io -r -f qcow2 -c 'read 0 4k' top.qcow2
matches reading.log 'Failed to get shared "write" lock'
refused writing.log qemu-io -f qcow2 -c 'write 0 4k' top.qcow2
refused ours.log rawview info top.qcow2
matches ours.log 'top\.qcow2 is in use: .*writing'
refused base-write.log qemu-io -f qcow2 -c 'write 0 4k' base.qcow2
qemu-io -r -f qcow2 -c 'read 0 4k' base.qcow2 >base-read.log
rawview info --locking=on base.qcow2 >base-ours.log
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
qemu-io -f qcow2 -c 'read -P 7 0 4k' top.qcow2 >after.log

# Into an overlay: the overlay is the writer's, the image everybody's to read.
serve_with rawview top.qcow2 overlay=over.qcow2
qemu-io -f raw -c 'write -P 8 0 4k' "$uri" >write.log
refused over.log qemu-io -r -f qcow2 -c 'read 0 4k' over.qcow2
matches over.log 'Failed to get shared "write" lock'
refused over-ours.log rawview info --overlay=over.qcow2 top.qcow2
matches over-ours.log 'over\.qcow2 is in use: .*writing'
refused import.log qemu-io -f qcow2 -c 'write 0 4k' top.qcow2
qemu-io -r -f qcow2 -c 'read -P 7 0 4k' top.qcow2 >shared.log
rawview info --locking=on top.qcow2 >shared-ours.log
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
qemu-io -f qcow2 -c 'read -P 8 0 4k' over.qcow2 >after.log
