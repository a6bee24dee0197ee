#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fsync(2) is about the file and not about who has written: "sync FILE" opens it
# for reading.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
touch "$tmp/view"

cat >"$tmp/write.py" <<'PY'
import os
import signal
import sys

view, pid = sys.argv[1:]
v = os.open(view, os.O_RDWR)
os.pwrite(v, b"kept" * 4096, 0)
r = os.open(view, os.O_RDONLY)
os.fsync(r)
os.kill(int(pid), signal.SIGKILL)
PY

qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 1M
mount_view --rw "$tmp/disk.qcow2" "$tmp/view"
python3 "$tmp/write.py" "$tmp/view" "$view_pid"
wait_until 30 has_ended "$view_pid" || fail 'it cannot be killed'
wait_until 30 is_not_mounted "$tmp/view" || fail 'a dead mount is left'
qemu-img convert -f qcow2 -O raw "$tmp/disk.qcow2" "$tmp/read.raw"
[ "$(head -c 16384 "$tmp/read.raw" | tail -c 4)" = kept ] ||
  fail 'lost what a reader has synced'
