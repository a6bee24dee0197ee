#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nobody else opens what we write, and we do not write what others have open.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
requires qemu-nbd --version

cd "$tmp"
qemu-img create -q -f qcow2 disk.qcow2 8M
qemu-img create -q -f qcow2 base.qcow2 8M

# Until a client comes others may read, as nothing is known about writing.
serve_rw disk.qcow2
qemu-img info -f qcow2 disk.qcow2 >info.log
nbdsh -u "$uri" -c 'assert not h.is_read_only()'
refused qemu.log qemu-img info -f qcow2 disk.qcow2
matches qemu.log 'lock'
refused ours.log rawview info disk.qcow2
matches ours.log 'disk\.qcow2 is in use'
refused second.log nbdkit -f -U "$tmp/second.sock" rawview disk.qcow2
matches second.log 'disk\.qcow2 is in use'
stop_server
qemu-img info -f qcow2 disk.qcow2 >info.log

# QEMU writes it.
qemu-nbd --fork -t -k "$tmp/qemu.sock" --pid-file="$tmp/qemu.pid" -f qcow2 \
  disk.qcow2
cleanup_fn stop_process "$(cat qemu.pid)"
refused writer.log nbdkit -f -U "$tmp/second.sock" rawview disk.qcow2
matches writer.log 'disk\.qcow2 is in use'
stop_process "$(cat qemu.pid)"

# QEMU reads it: then so do we, until it has gone.
qemu-nbd --fork -r -t -k "$tmp/qemu.sock" --pid-file="$tmp/qemu.pid" -f qcow2 \
  disk.qcow2
serve_rw disk.qcow2
nbdsh -u "$uri" -c 'assert h.is_read_only()'
matches "$nbdkit_log" 'read-only: .*disk\.qcow2 is in use'
stop_process "$(cat qemu.pid)"
nbdsh -u "$uri" -c 'assert not h.is_read_only()'
stop_server

# An overlay does not need its base alone, but nobody may write that.
serve_rw base.qcow2 overlay=one.qcow2
one=$uri
nbdsh -u "$one" -c 'h.pwrite(b"1" * 512, 0)'
serve_rw base.qcow2 overlay=two.qcow2
nbdsh -u "$uri" -c 'h.pwrite(b"2" * 512, 0)'
nbdsh -u "$one" -c 'assert h.pread(1, 0) == b"1"'
refused io.log qemu-io -f qcow2 -c 'write 0 4k' base.qcow2
matches io.log 'Failed to get .*write.* lock'
