#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A map of terabytes that hold nothing is one line, of the command and over NBD,
# whatever tables the image has; and it comes before anyone loses patience.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires qemu-img --version
requires nbdinfo --version
cd "$tmp"

# one_hole FILE SIZE
one_hole ()
{
  nbdkit -r -U - rawview "$1" \
    --run 'timeout 300 nbdinfo --map "$uri"' >map.nbd || fail "$1: status $?"
  line_count map.nbd 1
  matches map.nbd "^ *0 +$2 +3 +hole,zero\$"
  timeout 300 rawview map --json "$1" >map.json || fail "$1: status $?"
  python3 - "$2" <<'PY'
import json
import sys

runs = json.load(open("map.json"))
assert sum(r["length"] for r in runs) == int(sys.argv[1]), runs[:3]
assert all(r["zero"] and not r["data"] for r in runs), runs[:3]
PY
}

qemu-img create -q -f qcow2 none.qcow2 8T
one_hole none.qcow2 $((8 << 40))
qemu-img create -q -f vmdk none.vmdk 8T
one_hole none.vmdk $((8 << 40))
qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=2M \
  tables.qcow2 4T
one_hole tables.qcow2 $((4 << 40))
