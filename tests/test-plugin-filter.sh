#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit's filters work on top: with the one called cow a disk can be written,
# and the image stays as it is.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh
requires nbdkit --filter=cow null --dump-plugin

make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk" -o subformat=streamOptimized
sha256sum "$tmp/disk.vmdk" >"$tmp/sum"
start_nbdkit -P "$tmp/pid" -U "$tmp/sock" --filter=cow rawview \
  "$tmp/disk.vmdk" 2>"$tmp/nbdkit.log"

export tmp
nbdsh -u "nbd+unix:///?socket=$tmp/sock" -c - <<'PY'
import os

raw = bytearray(open(os.environ["tmp"] + "/disk.raw", "rb").read())
raw[100000:300000] = b"x" * 200000
h.pwrite(bytes(raw[100000:300000]), 100000)
assert h.pread(len(raw), 0) == raw
PY
sha256sum --quiet -c "$tmp/sum"
