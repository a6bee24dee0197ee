#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Reads of any offset and length return the right bytes.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires python3 --version
make_raw "$tmp/disk.raw"
# The last page is not complete.
dd if=/dev/urandom bs=512 count=3 status=none >>"$tmp/disk.raw"
mkdir "$tmp/images" "$tmp/view"
make_image qcow2 "$tmp/disk.raw" "$tmp/images/zlib.qcow2" -c
make_image qcow2 "$tmp/disk.raw" "$tmp/images/small.qcow2" -o cluster_size=512
make_image vmdk "$tmp/disk.raw" "$tmp/images/stream.vmdk" \
  -o subformat=streamOptimized
mount_view "$tmp/images" "$tmp/view"

python3 - "$tmp/disk.raw" "$tmp/view" <<'PY'
import os
import random
import sys

raw = open(sys.argv[1], "rb").read()
random.seed(1)
for name in sorted(os.listdir(sys.argv[2])):
    fd = os.open(os.path.join(sys.argv[2], name), os.O_RDONLY)
    for i in range(500):
        off = random.randrange(len(raw) + 1000)
        length = random.choice([1, 511, 4096, 65537, 1 << 20, 3 << 20])
        if i % 50 == 0:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        got = os.pread(fd, length, off)
        assert got == raw[off:off + length], (name, off, length)
    os.close(fd)
PY
