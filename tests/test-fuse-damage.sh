#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A damaged range fails with EIO and a line; the rest can be read.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires python3 --version
dd if=/dev/urandom of="$tmp/disk.raw" bs=1M count=8 status=none
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"

# The L2 entry of cluster 5 points beyond the end of the file.
python3 - "$tmp/disk.qcow2" <<'PY'
import struct
import sys

with open(sys.argv[1], "r+b") as f:
    f.seek(40)
    l1_offset, = struct.unpack(">Q", f.read(8))
    f.seek(l1_offset)
    l2_offset = struct.unpack(">Q", f.read(8))[0] & 0x00fffffffffffe00
    f.seek(l2_offset + 5 * 8)
    f.write(struct.pack(">Q", 1 << 63 | 1 << 45))
PY

touch "$tmp/view"
mount_view_in_foreground "$tmp/log" "$tmp/disk.qcow2" "$tmp/view"

# Others read what is good all the time.
dd if="$tmp/disk.raw" of="$tmp/good" bs=1M skip=4 status=none
read_others ()
{
  local i

  for (( i = 0; i < 20; i++ )); do
    dd if="$tmp/view" bs=1M skip=4 iflag=direct status=none |
      cmp - "$tmp/good" || return 1
  done
}
read_others &
others=$!

python3 - "$tmp/disk.raw" "$tmp/view" <<'PY'
import errno
import mmap
import os
import sys

CLUSTER = 65536
raw = open(sys.argv[1], "rb").read()


def check(flags, step):
    fd = os.open(sys.argv[2], os.O_RDONLY | flags)
    buf = mmap.mmap(-1, step)
    for off in range(0, len(raw), step):
        bad = 5 * CLUSTER <= off < 6 * CLUSTER
        try:
            os.lseek(fd, off, os.SEEK_SET)
            n = os.readv(fd, [buf])
            assert not bad, off
            assert buf[:n] == raw[off:off + n], off
        except OSError as e:
            assert e.errno == errno.EIO and bad, (off, e)
    # Damage is data, not a hole.
    assert os.lseek(fd, 0, os.SEEK_HOLE) == len(raw)
    assert os.lseek(fd, 5 * CLUSTER, os.SEEK_DATA) == 5 * CLUSTER
    os.close(fd)


check(os.O_DIRECT, CLUSTER)
check(os.O_DIRECT, 4096)
check(0, 4096)
check(0, CLUSTER)
PY

wait $others || fail 'another reader was disturbed'
matches "$tmp/log" '^rawviewfs: .*disk\.qcow2'
[ "$(sort "$tmp/log" | uniq -d | wc -l)" -eq 0 ] || fail 'lines are repeated'
lines=$(wc -l <"$tmp/log")
(( lines <= 20 )) || fail "$lines lines in the log"
