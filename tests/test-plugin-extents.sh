#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Extents cover the disk without gaps, what they call zero reads as zeros, and
# nothing that they call data lies where the image has only holes.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/plain.qcow2"
make_image qcow2 "$tmp/disk.raw" "$tmp/packed.qcow2" -c
make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" \
  -o subformat=streamOptimized
qemu-io -f qcow2 -c 'write -z 1M 1M' "$tmp/plain.qcow2" >/dev/null
serve "export=plain:$tmp/plain.qcow2" "export=packed:$tmp/packed.qcow2" \
      "export=stream:$tmp/stream.vmdk"

export sock
nbdsh -c - <<'PY'
import os

ALLOCATION = nbd.CONTEXT_BASE_ALLOCATION
HOLE, ZERO = nbd.STATE_HOLE, nbd.STATE_ZERO


def connect(name):
    client = nbd.NBD()
    client.add_meta_context(ALLOCATION)
    client.set_export_name(name)
    client.connect_unix(os.environ["sock"])
    return client


def extents(client, count, offset, flags=0):
    found = []

    def extent(context, offset, entries, error):
        assert context == ALLOCATION
        found.extend(zip(entries[::2], entries[1::2]))

    client.block_status(count, offset, extent, flags=flags)
    return found


for name in "plain", "packed", "stream":
    client = connect(name)
    size = client.get_size()
    offset = 0
    kinds = set()
    previous = None
    while offset < size:
        run = extents(client, size - offset, offset)
        assert run
        for length, flags in run:
            assert length > 0
            assert flags in (0, ZERO, ZERO | HOLE), flags
            assert flags != previous, "neighbours are not merged"
            length = min(length, size - offset)
            if flags & ZERO:
                assert client.pread(length, offset) == bytes(length)
            kinds.add(flags)
            previous = flags
            offset += length
        previous = None
    assert offset == size, (name, offset, size)
    assert kinds >= {0, ZERO | HOLE}, (name, kinds)

    # One is the first of many, wherever it starts.
    for offset in range(0, size, 333 * 512):
        many = extents(client, min(2 << 20, size - offset), offset)
        one = extents(client, min(2 << 20, size - offset), offset,
                      nbd.CMD_FLAG_REQ_ONE)
        assert len(one) == 1, one
        assert one[0][1] == many[0][1]
        assert one[0][0] <= many[0][0]
    client.shutdown()
PY
