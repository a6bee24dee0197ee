#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# info --backing-chain shows every image from the top down.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
qemu-img create -q -f qcow2 base.qcow2 8M
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 middle.qcow2 16M
qemu-img create -q -f qcow2 -F qcow2 -b middle.qcow2 top.qcow2

rawview info --json --backing-chain top.qcow2 >chain.json
python3 - <<'PY'
import json, os
chain = json.load(open("chain.json"))
assert [os.path.basename(i["filename"]) for i in chain] == \
    ["top.qcow2", "middle.qcow2", "base.qcow2"], chain
assert [i["virtual-size"] >> 20 for i in chain] == [16, 16, 8], chain
assert [i.get("backing-filename") for i in chain] == \
    ["middle.qcow2", "base.qcow2", None], chain
PY

rawview info --backing-chain top.qcow2 >chain.txt
[ "$(grep -c '^image: ' chain.txt)" -eq 3 ] || fail 'three images were expected'
matches chain.txt '^virtual size: 8 MiB \(8388608 bytes\)$'
matches chain.txt '^backing file: middle\.qcow2'
matches chain.txt '^backing file format: qcow2$'

# Without the option it is the image alone.
rawview info top.qcow2 >one.txt
[ "$(grep -c '^image: ' one.txt)" -eq 1 ] || fail 'one image was expected'
