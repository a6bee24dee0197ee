#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# check explains damage, also where it keeps the image from being opened, and
# counts as qemu-img does where that can judge.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires python3 --version
cd "$tmp"

# check STATUS FILE REGEX…: as text and as JSON; each REGEX matches a finding.
check ()
{
  local expected=$1 file=$2 status=0 regex

  shift 2
  rawview check "$file" >out.txt 2>err.txt || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat out.txt err.txt; fail "$file: status $status, not $expected"; }
  line_count err.txt 0
  status=0
  rawview check --json "$file" >out.json 2>err.txt || status=$?
  [ "$status" -eq "$expected" ] || fail "$file: status $status with --json"
  for regex; do
    matches out.txt "^(corruption|leak|error): .*$regex"
  done
}

# keys KEY=VALUE…: of the last check's JSON.
keys ()
{
  python3 - "$@" <<'PY'
import json, sys
r = json.load(open("out.json"))
for arg in sys.argv[1:]:
    key, value = arg.split("=")
    if str(r.get(key)) != value:
        sys.exit("%s: %r, not %s" % (key, r.get(key), value))
PY
}

# as_qemu FILE: the counts are those of qemu-img.
as_qemu ()
{
  qemu-img check --output=json "$1" >theirs.json 2>/dev/null || :
  python3 - <<'PY'
import json, sys
ours, theirs = json.load(open("out.json")), json.load(open("theirs.json"))
for key in "corruptions", "leaks", "check-errors":
    if ours[key] != theirs.get(key, 0):
        sys.exit("%s: %r, not %r" % (key, ours[key], theirs.get(key, 0)))
PY
}

# made RECIPE: its image, which is in the folder RECIPE.
made () { mkimage "$1" "$1"; }

# Two guest clusters in one place.
made read-qcow2-duplicate-clusters
check 2 read-qcow2-duplicate-clusters/disk.qcow2 \
  'guest offsets 0x20000 and 0x30000 are both stored at host offset 0x60000'
as_qemu read-qcow2-duplicate-clusters/disk.qcow2
keys corruptions=1 leaks=1 format=qcow2

# One on top of a table.
for where in l1 l2 refcount-block refcount-table; do
  made "bad-qcow2-l2-entry-to-$where"
  check 2 "bad-qcow2-l2-entry-to-$where/disk.qcow2" 'guest offset .* has (the|a)'
done

# Two grains, or two extents, in one place.
made read-vmdk-duplicate-grains
check 2 read-vmdk-duplicate-grains/disk.vmdk 'grain 3, at byte .* overlaps'
made read-vmdk-flat-overlap
check 2 read-vmdk-flat-overlap/disk.vmdk \
  'extents from byte 0 and from byte 524288 of the disk on overlap'

# A grain on top of a redundant table that lies among the grains.
cat >bad-on-copy.recipe <<'RECIPE'
# The redundant table is moved onto the grain.
file disk.vmdk sparse
size 1m
data 0 128k
set rgd[0] @grain[1]/512
expect eio 0 512
RECIPE
mkimage bad-on-copy.recipe on-copy
check 2 on-copy/disk.vmdk 'grain 1, .* overlaps the redundant grain table'

# Tables that differ: where?
made read-vmdk-redundant-differs
check 2 read-vmdk-redundant-differs/disk.vmdk \
  'grain table 0 differs .* 2 entries, first for grain 0'
made bad-vmdk-table-beyond
check 2 bad-vmdk-table-beyond/disk.vmdk \
  'grain directory entry 1, .* the redundant directory is possible'

# What cannot be opened because of the damage.
made refused-vmdk-directory-beyond
check 2 refused-vmdk-directory-beyond/disk.vmdk \
  'grain directory .* redundant one was checked'
keys corruptions=1 format=vmdk
made refused-vmdk-parent-cid
check 2 refused-vmdk-parent-cid/disk.vmdk \
  'has CID 11111111, but parentCID is 22222222'
keys corruptions=1 format=vmdk check-errors=0
made refused-vmdk-footer-missing
check 2 refused-vmdk-footer-missing/disk.vmdk 'the stream is cut; 1 grains'
keys corruptions=1 format=vmdk allocated-clusters=1
made bad-vmdk-rescue-stream-cut
check 2 bad-vmdk-rescue-stream-cut/disk.vmdk 'the stream is cut; 3 grains' \
  '11 of 16 grains are missing or were zeros, the first at byte 327680'
made refused-qcow2-truncated-l1
check 2 refused-qcow2-truncated-l1/disk.qcow2 'L1'
made refused-vmdk-descriptor-flat-short
check 2 refused-vmdk-descriptor-flat-short/disk.vmdk \
  'the last [0-9]+ bytes of the extent are missing'
# Not even for rescue.
made refused-vmdk-newlines
check 2 refused-vmdk-newlines/disk.vmdk 'transferred as text'
keys corruptions=1 format=None

# A stream with all its grains and without its end.
made read-vmdk-stream-header
image=read-vmdk-stream-header/disk.vmdk
check 0 "$image"
while [ "$(tail -c 1 "$image" | od -An -tu1 | tr -d ' ')" -eq 0 ]; do
  truncate -s -1 "$image"
done
check 2 "$image" 'no end mark'

# What is no damage: no image, or one of another kind.
for recipe in refused-text refused-qcow1 refused-qcow2-version-4; do
  made "$recipe"
  status=0
  # shellcheck disable=SC2046
  rawview check $(find "$recipe" -type f ! -name meta.json) >out.txt 2>err.txt ||
    status=$?
  [ "$status" -eq 1 ] || fail "$recipe: status $status"
  line_count err.txt 1
done
