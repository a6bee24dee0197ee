#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --dry-run and --json say what would be done, and do nothing.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires python3 --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
make_image vmdk disk.raw b.vmdk
: >before
ls -A >before

rawview import --dry-run a.qcow2 b.vmdk --to one.raw --to two.qcow2 >plan.txt
rawview import --dry-run --json --name web1 a.qcow2 b.vmdk \
  --to one.raw,allocation=preallocated --to two.qcow2 >plan.json
rm plan.txt
python3 - <<'PY'
import json, os
p = json.load(open("plan.json"))
here = os.getcwd()
assert p["name"] == "web1" and p["conversion"] == "format", p
assert p["size"] == 2 * 12582912, p
a, b = p["disks"]
assert a["source"] == here + "/a.qcow2" and a["format"] == "qcow2", a
assert a["size"] == 12582912 and a["actual-size"] > 0, a
assert a["destination"] == {
    "type": "file", "name": here + "/one.raw", "format": "raw",
    "allocation": "preallocated", "exists": False}, a
assert b["format"] == "vmdk", b
assert b["destination"]["format"] == "qcow2", b
PY
rm plan.json
ls -A | diff - before || fail 'something was made'

# What is wrong with the wishes.
wrong ()
{
  local pattern=$1 status=0

  shift
  rawview import "$@" >plan 2>err || status=$?
  [ "$status" -eq 2 ] || { cat err; fail "status $status, not 2: $*"; }
  line_count err 1
  matches err "$pattern"
}

wrong '--to=DEST must say' a.qcow2
wrong 'has 1 disk, but --to names 2 destinations' a.qcow2 --to x --to y
wrong 'has 2 disks, but --to names 1 destination' a.qcow2 b.vmdk --to x
wrong 'x cannot take two disks' a.qcow2 b.vmdk --to x --to x
wrong '--conversion=raw: must be' a.qcow2 --to x --conversion=raw
wrong '--conversion=none,format: must' a.qcow2 --to x --conversion=none,format
wrong '--conversion=format,format: must' a.qcow2 --to x \
  --conversion=format,format
wrong '--allocation=some: must be' a.qcow2 --to x --allocation=some
wrong 'must be libvirt:POOL/VOLUME' a.qcow2 --to libvirt:pool
wrong '--network=:x: must be' a.qcow2 --to x --network :x
wrong 'which a pipe cannot' - --to x --conversion=virtio,format
[ ! -e x ] || fail 'a destination was made'
