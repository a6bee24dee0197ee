#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# NBD_CMD_CACHE is offered; it changes nothing that is read and reports no
# damage.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c
cp "$tmp/disk.qcow2" "$tmp/damaged.qcow2"
damage_qcow2 "$tmp/damaged.qcow2" 5
serve "dir=$tmp"

export sock tmp
nbdsh -c - <<'PY'
import os

raw = open(os.environ["tmp"] + "/disk.raw", "rb").read()


def connect(name):
    client = nbd.NBD()
    client.set_export_name(name)
    client.connect_unix(os.environ["sock"])
    assert client.can_cache()
    return client


client = connect("disk.qcow2")
for length, offset in (1, 0), (12345, 54321), (len(raw), 0):
    client.cache(length, offset)
    assert client.pread(length, offset) == raw[offset:offset + length]
client = connect("damaged.qcow2")
client.cache(len(raw), 0)
assert client.pread(65536, 0) == raw[:65536]
PY
line_count "$nbdkit_log" 0
