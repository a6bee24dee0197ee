#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# info --json says the same as qemu-img info --output=json in all keys that both
# have, and has those that programs rely on.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
make_raw "$tmp/disk.raw"

cat >"$tmp/compare.py" <<'PY'
import json
import os
import sys

# Where rawview says more, or something else on purpose.
KNOWN = {
    # QEMU gives the extents of some types an empty or another format name.
    ("format-specific", "data", "extents", "format"),
    # The name as the descriptor has it, against one joined with the folder.
    ("format-specific", "data", "extents", "filename"),
    ("snapshots", "icount"),
}


def compare(path, ours, theirs):
    if path in KNOWN:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() & theirs.keys():
            compare(path + (key,), ours[key], theirs[key])
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            sys.exit("%s: %d items, not %d" % (path, len(ours), len(theirs)))
        for a, b in zip(ours, theirs):
            compare(path, a, b)
    elif path[-1] == "full-backing-filename":
        # QEMU's is relative if the image's name was; ours never is.
        if ours != os.path.abspath(theirs):
            sys.exit("%s: %r, not %r" % (".".join(path), ours, theirs))
    elif ours != theirs:
        sys.exit("%s: %r, not %r" % (".".join(path), ours, theirs))


ours = json.load(open(sys.argv[1]))
theirs = json.load(open(sys.argv[2]))
compare((), ours, theirs)
need = {"filename", "format", "virtual-size", "actual-size"}
need |= theirs.keys() & {"snapshots", "backing-filename", "cluster-size",
                         "backing-filename-format", "format-specific",
                         "full-backing-filename"}
if not need <= ours.keys():
    sys.exit("missing: %s" % (need - ours.keys()))
PY

# agree FILE
agree ()
{
  rawview info --json "$1" >"$tmp/ours.json"
  # The image must not change, and QEMU must not probe.
  qemu-img info --output=json "$1" >"$tmp/theirs.json"
  python3 "$tmp/compare.py" "$tmp/ours.json" "$tmp/theirs.json" ||
    fail "${1##*/}: see above"
}

for options in compat=0.10 compat=1.1 cluster_size=4k refcount_bits=1 \
  lazy_refcounts=on extended_l2=on compression_type=zstd; do
  make_image qcow2 "$tmp/disk.raw" "$tmp/$options.qcow2" -o "$options"
  agree "$tmp/$options.qcow2"
done

for type in monolithicSparse monolithicFlat twoGbMaxExtentSparse \
  twoGbMaxExtentFlat streamOptimized; do
  make_image vmdk "$tmp/disk.raw" "$tmp/$type.vmdk" -o "subformat=$type"
  agree "$tmp/$type.vmdk"
done

# Snapshots and a backing file.
qemu-img snapshot -c first "$tmp/compat=1.1.qcow2"
qemu-img snapshot -c 'second one' "$tmp/compat=1.1.qcow2"
agree "$tmp/compat=1.1.qcow2"
[ "$(python3 -c '
import json, sys
print([s["name"] for s in json.load(sys.stdin)["snapshots"]])' \
  < <(rawview info --json "$tmp/compat=1.1.qcow2"))" = \
  "['first', 'second one']" ] || fail 'wrong snapshots'
qemu-img create -q -f qcow2 -F qcow2 -b compat=1.1.qcow2 "$tmp/top.qcow2"
agree "$tmp/top.qcow2"

# From the folder itself the names are short.
cd "$tmp"
agree top.qcow2

# In qemu-img's own words.
rawview info --json top.qcow2 >json
rawview info --output=json top.qcow2 | diff json - ||
  fail '--output=json is not --json'
rawview info top.qcow2 >human
rawview info --output=human top.qcow2 | diff human - ||
  fail '--output=human is something else'
refused said rawview info --output=xml top.qcow2
matches said '^rawview: info: --output=xml: use json or human$'
