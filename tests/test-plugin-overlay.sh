#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With overlay= all is written beside the image, which stays byte for byte the
# same; QEMU reads, checks and commits the overlay.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
cp "$tmp/disk.raw" "$tmp/expected.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/stream.vmdk" -o subformat=streamOptimized
make_image qcow2 "$tmp/disk.raw" "$tmp/compressed.qcow2" -c
remember "$tmp/stream.vmdk" "$tmp/compressed.qcow2"

cat >"$tmp/write.py" <<'PY'
import os
model = os.open(os.environ["expected"], os.O_RDWR)
assert not h.is_read_only()
for off, n in ((0, 5), (70000, 200000), (h.get_size() - 512, 512)):
    data = os.urandom(n)
    h.pwrite(data, off)
    os.pwrite(model, data, off)
h.zero(1 << 20, 1 << 20)
os.pwrite(model, bytes(1 << 20), 1 << 20)
PY
export expected=$tmp/expected.raw

for image in stream.vmdk compressed.qcow2; do
  cp "$tmp/disk.raw" "$expected"
  serve_rw "$tmp/$image" "overlay=$tmp/$image.changes"
  nbdsh -u "$uri" -c - <"$tmp/write.py"
  reads_as "$uri" "$expected"
  line_count "$nbdkit_log" 0
  stop_server
  unchanged
  is_now qcow2 "$tmp/$image.changes" "$expected"

  # It is found again.
  serve_rw "$tmp/$image" "overlay=$tmp/$image.changes"
  reads_as "$uri" "$expected"
  nbdsh -u "$uri" -c - <"$tmp/write.py"
  stop_server
  unchanged
  is_now qcow2 "$tmp/$image.changes" "$expected"
  [ "$(stat -c %a "$tmp/$image.changes")" = 600 ] || fail 'all may read it'
done
qemu-img commit -q -f qcow2 "$tmp/compressed.qcow2.changes"
is_now qcow2 "$tmp/compressed.qcow2" "$expected"

# A folder of them.
mkdir "$tmp/imports" "$tmp/changes"
cp "$tmp/stream.vmdk" "$tmp/imports"
cp "$tmp/disk.raw" "$expected"
serve_rw dir="$tmp/imports" overlay-dir="$tmp/changes"
nbdsh -u "$(uri_of stream.vmdk)" -c - <"$tmp/write.py"
reads_as "$(uri_of stream.vmdk)" "$expected"
stop_server
is_now qcow2 "$tmp/changes/stream.vmdk.overlay.qcow2" "$expected"
same "$tmp/stream.vmdk" "$tmp/imports/stream.vmdk"
