#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mapping of the file shows the disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires python3 --version
make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk" -o subformat=streamOptimized
touch "$tmp/view"
mount_view "$tmp/disk.vmdk" "$tmp/view"
python3 - "$tmp/disk.raw" "$tmp/view" <<'PY'
import mmap
import sys

raw = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "rb") as f:
    for flags in mmap.MAP_SHARED, mmap.MAP_PRIVATE:
        m = mmap.mmap(f.fileno(), 0, flags=flags, prot=mmap.PROT_READ)
        for off in range(len(raw) - 4096, -1, -40960):
            assert m[off:off + 5000] == raw[off:off + 5000], off
        assert m[:] == raw
        m.close()
PY
