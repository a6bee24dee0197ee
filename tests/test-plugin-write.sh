#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What was written is read back, by us and, after the server has ended, by QEMU.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"

# write_all: a bit of everything to the export, and the same to expected.raw.
cat >"$tmp/write.py" <<'PY'
import os
import sys

model = os.open(sys.argv[1], os.O_RDWR)


def same():
    size = h.get_size()
    for off in range(0, size, 1 << 20):
        n = min(1 << 20, size - off)
        assert h.pread(n, off) == os.pread(model, n, off), off


def write(data, off):
    h.pwrite(data, off)
    os.pwrite(model, data, off)


same()
write(b"first" * 1000, 0)
write(b"x", h.get_size() - 1)
write(os.urandom(3 << 20), (5 << 20) + 777)
for i in range(64):
    write(bytes([i + 1]) * 512, i * 65536 + 512 * i)
same()
h.zero(200000, 300001)
os.pwrite(model, bytes(200000), 300001)
h.zero(1 << 20, 6 << 20, nbd.CMD_FLAG_NO_HOLE)
os.pwrite(model, bytes(1 << 20), 6 << 20)
same()
h.flush()
same()
PY

# try_format FORMAT FILE [OPTION…]: those of qemu-img convert.
try_format ()
{
  local format=$1 file=$tmp/$2

  shift 2
  cp "$tmp/disk.raw" "$tmp/expected.raw"
  make_image "$format" "$tmp/disk.raw" "$file" "$@"
  serve_rw "format=$format" "$file"
  nbdsh -u "$uri" -c "import sys; sys.argv = ['', '$tmp/expected.raw']" \
    -c - <"$tmp/write.py"
  line_count "$nbdkit_log" 0
  stop_server
  is_now "$format" "$file" "$tmp/expected.raw"
  serve "format=$format" "$file"
  reads_as "$uri" "$tmp/expected.raw"
  stop_server
}

try_format raw disk.img
try_format qcow2 v3.qcow2
try_format qcow2 v2.qcow2 -o compat=0.10
try_format qcow2 compressed.qcow2 -c
try_format qcow2 small.qcow2 -o cluster_size=4k
try_format qcow2 extended.qcow2 -o extended_l2=on
try_format vmdk sparse.vmdk
try_format vmdk flat.vmdk -o subformat=monolithicFlat
try_format vmdk split.vmdk -o subformat=twoGbMaxExtentSparse
