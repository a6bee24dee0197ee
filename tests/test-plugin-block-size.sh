#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The preferred block size is the image's cluster or grain, never tiny; no
# request needs to be aligned.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
for size in 512 4096 65536 2097152; do
  make_image qcow2 "$tmp/disk.raw" "$tmp/$size.qcow2" -o "cluster_size=$size"
done
make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" \
  -o subformat=streamOptimized
serve "dir=$tmp"

export sock tmp
nbdsh -c - <<'PY'
import os

raw = open(os.environ["tmp"] + "/disk.raw", "rb").read()
for name, preferred in (("512.qcow2", 4096), ("4096.qcow2", 4096),
                        ("65536.qcow2", 65536), ("2097152.qcow2", 2097152),
                        ("stream.vmdk", 65536)):
    client = nbd.NBD()
    client.set_export_name(name)
    client.connect_unix(os.environ["sock"])
    assert client.get_block_size(nbd.SIZE_MINIMUM) == 1
    assert client.get_block_size(nbd.SIZE_PREFERRED) == preferred, name
    maximum = client.get_block_size(nbd.SIZE_MAXIMUM)
    assert maximum >= 32 << 20 and maximum % preferred == 0
    for length, offset in ((1, 0), (1, len(raw) - 1), (513, 65535),
                           (3 << 20, 12345), (len(raw), 0)):
        assert client.pread(length, offset) == raw[offset:offset + length]
    client.shutdown()
PY
