#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# check ends with the statuses of qemu-img check, and JSON has its keys.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw good.qcow2 -o compat=1.1

# check STATUS FILE [OPTION…]: also what qemu-img has to say about it.
check ()
{
  local expected=$1 file=$2 status=0

  shift 2
  rawview check "$file" "$@" >out.txt 2>err.txt || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat out.txt err.txt; fail "$file: status $status, not $expected"; }
  status=0
  rawview check --json "$file" "$@" >out.json 2>err.txt || status=$?
  [ "$status" -eq "$expected" ] || fail "$file: status $status with --json"
}

# agree FILE KEY…: the numbers are those of qemu-img.
agree ()
{
  local file=$1

  shift
  qemu-img check --output=json "$file" >theirs.json 2>/dev/null || :
  python3 - "$@" <<'PY'
import json, sys
ours = json.load(open("out.json"))
theirs = json.load(open("theirs.json"))
for key in sys.argv[1:]:
    if ours[key] != theirs.get(key, 0):
        sys.exit("%s: %r, not %r" % (key, ours[key], theirs.get(key, 0)))
PY
}

check 0 good.qcow2
agree good.qcow2 check-errors corruptions leaks image-end-offset \
  total-clusters allocated-clusters compressed-clusters format
matches out.txt '^No errors were found on the image\.$'

make_image qcow2 disk.raw compressed.qcow2 -c
check 0 compressed.qcow2
agree compressed.qcow2 check-errors corruptions leaks total-clusters \
  allocated-clusters compressed-clusters

# poke FILE OFFSET HEX: change bytes.
poke ()
{
  python3 -c '
import sys
f = open(sys.argv[1], "r+b")
f.seek(int(sys.argv[2]))
f.write(bytes.fromhex(sys.argv[3]))' "$@"
}

# be64 FILE OFFSET
be64 ()
{
  python3 -c '
import sys
f = open(sys.argv[1], "rb")
f.seek(int(sys.argv[2]))
print(int.from_bytes(f.read(8), "big"))' "$@"
}

l1=$(be64 good.qcow2 40)
l2=$(( $(be64 good.qcow2 "$l1") & 0x00fffffffffffe00 ))

# A cluster that nothing refers to any more.
cp good.qcow2 leak.qcow2
poke leak.qcow2 "$l2" 0000000000000000
check 3 leak.qcow2
agree leak.qcow2 check-errors corruptions leaks
matches out.txt '^leak: '

# An entry that points far beyond the end.
cp good.qcow2 corrupt.qcow2
poke corrupt.qcow2 "$l2" 8000700000000000
check 2 corrupt.qcow2
matches out.txt '^corruption: '
python3 - <<'PY'
import json
r = json.load(open("out.json"))
assert r["corruptions"] > 0 and r["check-errors"] == 0, r
assert any(f["type"] == "corruption" for f in r["findings"]), r
PY

# No tables, and no image.
check 63 disk.raw --format=raw
check 1 nosuch.qcow2
line_count err.txt 1
