#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# map covers the disk, agrees with qemu-img map on what is zero and what is data
# and at which depth, and says where plain data is.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
make_raw "$tmp/disk.raw"

cat >"$tmp/compare.py" <<'PY'
import json
import sys

STEP = 512


def spread(runs, key):
    out = []
    for r in runs:
        assert r["start"] == len(out) * STEP, r
        assert r["length"] > 0 and r["length"] % STEP == 0, r
        out += [key(r)] * (r["length"] // STEP)
    return out


ours = json.load(open(sys.argv[1]))
theirs = json.load(open(sys.argv[2]))
disk = open(sys.argv[3], "rb").read()
assert spread(ours, lambda r: r["zero"]) == \
    spread(theirs, lambda r: r["zero"]), "zero"
assert spread(ours, lambda r: r["data"]) == \
    spread(theirs, lambda r: r["data"] and not r["zero"]), "data"
assert spread(ours, lambda r: r["depth"] if r["data"] else None) == \
    spread(theirs, lambda r: None if r["zero"] else r["depth"]), "depth"
assert len(ours) * STEP <= len(disk) and ours[-1]["start"] + \
    ours[-1]["length"] == len(disk), "size"
for r in ours:
    assert r.keys() >= {"start", "length", "depth", "present", "zero", "data",
                        "compressed"}, r
    if "offset" in r:
        with open(r["filename"], "rb") as f:
            f.seek(r["offset"])
            assert f.read(r["length"]) == \
                disk[r["start"]:r["start"] + r["length"]], r
    else:
        assert r["zero"] or r["compressed"], r
PY

# agree FILE
agree ()
{
  qemu-img convert -O raw "$1" "$tmp/expected.raw"
  rawview map --json "$1" >"$tmp/ours.json"
  qemu-img map --output=json "$1" >"$tmp/theirs.json"
  python3 "$tmp/compare.py" "$tmp/ours.json" "$tmp/theirs.json" \
    "$tmp/expected.raw" || fail "${1##*/}: see above"
}

for cluster in 512 64k 2M; do
  make_image qcow2 "$tmp/disk.raw" "$tmp/$cluster.qcow2" \
    -o "cluster_size=$cluster"
  agree "$tmp/$cluster.qcow2"
done
make_image qcow2 "$tmp/disk.raw" "$tmp/compressed.qcow2" -c
agree "$tmp/compressed.qcow2"
for type in monolithicSparse monolithicFlat twoGbMaxExtentSparse \
  streamOptimized; do
  make_image vmdk "$tmp/disk.raw" "$tmp/$type.vmdk" -o "subformat=$type"
  agree "$tmp/$type.vmdk"
done

cd "$tmp"
qemu-img create -q -f qcow2 -F qcow2 -b 64k.qcow2 top.qcow2
qemu-io -c 'write -q -P 7 100k 70k' -c 'write -q -z 1M 128k' top.qcow2
agree top.qcow2

# As text: a header, and the data.
rawview map top.qcow2 >map.txt
matches map.txt '^Offset +Length +Mapped to +File$'
matches map.txt '^0x10000 +0x20000 +0x[0-9a-f]+ +.*top\.qcow2$'
matches map.txt '^0 +0x10000 +0x[0-9a-f]+ +.*64k\.qcow2$'
rawview map compressed.qcow2 >map.txt
matches map.txt ' compressed '
