#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is written to the file is read back, is in the image after fsync(2) or
# close(2), and the image is clean after the unmount.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
make_raw "$tmp/disk.raw"
touch "$tmp/view"

cat >"$tmp/write.py" <<'PY'
import os
import sys

view, model = sys.argv[1:]
v = os.open(view, os.O_RDWR)
m = os.open(model, os.O_RDWR)
before = os.fstat(v)
for off, n in ((0, 10), (4000, 200), (65535, 2), (777777, 3 << 20),
               (before.st_size - 3, 3)):
    data = os.urandom(n)
    assert os.pwrite(v, data, off) == n
    os.pwrite(m, data, off)
    assert os.pread(v, n, off) == data
os.fsync(v)
os.fdatasync(v)
for off in range(0, before.st_size, 1 << 20):
    assert os.pread(v, 1 << 20, off) == os.pread(m, 1 << 20, off)
after = os.fstat(v)
assert after.st_size == before.st_size
assert after.st_mtime_ns > before.st_mtime_ns
assert os.access(view, os.W_OK)
os.utime(view)
os.close(v)
PY

# try_format FORMAT FILE [OPTION…]: those of qemu-img convert.
try_format ()
{
  local format=$1 file=$tmp/$2

  shift 2
  cp "$tmp/disk.raw" "$tmp/expected.raw"
  make_image "$format" "$tmp/disk.raw" "$file" "$@"
  mount_view --rw --format="$format" "$file" "$tmp/view"
  python3 "$tmp/write.py" "$tmp/view" "$tmp/expected.raw"
  same "$tmp/expected.raw" "$tmp/view"
  dd if="$tmp/disk.raw" of="$tmp/view" bs=1M count=2 conv=notrunc,fsync \
    status=none
  dd if="$tmp/disk.raw" of="$tmp/expected.raw" bs=1M count=2 conv=notrunc \
    status=none
  unmount_view "$tmp/view"
  is_now "$format" "$file" "$tmp/expected.raw"
}

try_format raw disk.img
try_format qcow2 plain.qcow2
try_format qcow2 compressed.qcow2 -c
try_format vmdk sparse.vmdk
try_format vmdk flat.vmdk -o subformat=monolithicFlat

# After close(2) nothing is lost, not even by SIGKILL.
qemu-img create -q -f qcow2 "$tmp/killed.qcow2" 8M
mount_view --rw "$tmp/killed.qcow2" "$tmp/view"
printf 'closed' | dd of="$tmp/view" conv=notrunc status=none
kill -KILL "$view_pid"
wait_until 30 has_ended "$view_pid" || fail 'it cannot be killed'
wait_until 30 is_not_mounted "$tmp/view" || fail 'a dead mount is left'
qemu-img convert -f qcow2 -O raw "$tmp/killed.qcow2" "$tmp/read.raw"
[ "$(head -c 6 "$tmp/read.raw")" = closed ] || fail 'lost what was closed'
