#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A damaged range fails with EIO and a line that says where; the rest reads.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
damage_qcow2 "$tmp/disk.qcow2" 5
serve "$tmp/disk.qcow2"

export tmp
nbdsh -u "$uri" -c - <<'PY'
import errno
import os

CLUSTER = 65536
BAD = range(5 * CLUSTER, 6 * CLUSTER)
raw = open(os.environ["tmp"] + "/disk.raw", "rb").read()


def fails(length, offset):
    try:
        h.pread(length, offset)
    except nbd.Error as e:
        assert e.errnum == errno.EIO, e
        return
    raise SystemExit(f"{length} bytes at {offset} were read")


for offset in range(0, len(raw), CLUSTER):
    if offset in BAD:
        fails(CLUSTER, offset)
    else:
        assert h.pread(CLUSTER, offset) == raw[offset:offset + CLUSTER]
fails(1, BAD.start)
fails(1, BAD.stop - 1)
fails(2, BAD.start - 1)
fails(len(raw), 0)
assert h.pread(1, BAD.start - 1) == raw[BAD.start - 1:BAD.start]
assert h.pread(1, BAD.stop) == raw[BAD.stop:BAD.stop + 1]
PY
# Said once, although read again and again.
line_count "$nbdkit_log" 1
matches "$nbdkit_log" \
  '^nbdkit: rawview[^ ]*: error: reading 65536 bytes at offset 327680: .*disk\.qcow2'

# Damage is neither zero nor a hole.
nbdsh --base-allocation -u "$uri" -c - <<'PY'
found = []
h.block_status(65536, 5 * 65536, lambda c, o, e, err: found.extend(e))
assert found[1] == 0, found
PY

# An image that is damaged throughout does not flood the log.
make_image qcow2 "$tmp/disk.raw" "$tmp/all.qcow2" -o cluster_size=4k
for cluster in {0..99}; do
  damage_qcow2 "$tmp/all.qcow2" "$cluster"
done
serve "$tmp/all.qcow2"
nbdsh -u "$uri" -c - <<'PY'
for offset in range(0, 100 * 4096, 4096):
    try:
        h.pread(4096, offset)
        raise SystemExit(f"4096 bytes at {offset} were read")
    except nbd.Error:
        pass
PY
lines=$(wc -l <"$nbdkit_log")
(( lines >= 1 && lines <= 40 )) || fail "$lines lines in the log"
