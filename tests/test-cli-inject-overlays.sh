#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A successful injection leaves complete overlays and untouched images: of one
# disk and of two, for virt-v2v that takes files and for one that takes sockets.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires_nbdkit
cd "$tmp"
use_run_dir
use_stand_in
make_raw one.raw
truncate -s 5M two.raw
printf 'second disk' | dd of=two.raw conv=notrunc status=none
mkdir in
make_image vmdk one.raw in/one.vmdk -o subformat=streamOptimized
make_image qcow2 two.raw in/two.qcow2 -c
(cd in && sha256sum one.vmdk two.qcow2) >sums
cp one.raw one-expected.raw
cp two.raw two-expected.raw
injected 1 one-expected.raw
injected 2 two-expected.raw

# reads_with OVERLAY IMAGE RAWFILE
reads_with ()
{
  rm -f read.raw
  rawview copy --overlay="$1" "$2" read.raw 2>/dev/null
  same "$3" read.raw
  qemu-img check -q "$1" || fail "qemu-img finds fault with $1"
}

# One disk, as a file.
rawview inject --overlay=over.qcow2 in/one.vmdk >out 2>err ||
  fail "status $?: $(cat err)"
[ "$(cat out)" = "$tmp/over.qcow2" ] || fail "wrong output: $(cat out)"
[ ! -s err ] || fail "it says: $(cat err)"
reads_with over.qcow2 in/one.vmdk one-expected.raw
[ "$(stat -c %a over.qcow2)" = 600 ] || fail 'others can read the overlay'
matches "$notes/args" '^--root'
matches "$notes/args" '^disk$'
no_folders run || fail "this is left: $(ls run/*)"
rm over.qcow2 one.virt-v2v.log

# Two disks at once, as files and as sockets.
for version in 2.2.0 2.12.0; do
  mkdir over
  STANDIN_VERSION=$version rawview inject --json --progress=json --log=v2v.log \
    --overlay-dir=over in/one.vmdk in/two.qcow2 >out 2>err ||
    fail "status $?: $(cat err) $(cat v2v.log)"
  [ ! -s err ] || fail "it says: $(cat err)"
  has_no_leftovers over one.vmdk.overlay.qcow2 two.qcow2.overlay.qcow2
  reads_with over/one.vmdk.overlay.qcow2 in/one.vmdk one-expected.raw
  reads_with over/two.qcow2.overlay.qcow2 in/two.qcow2 two-expected.raw
  python3 - "$tmp" <<'PY' || fail "wrong output: $(cat out)"
import json, sys
lines = [json.loads(line) for line in open("out")]
percents = [line["percent"] for line in lines[:-1]]
assert percents == sorted(percents) and percents[-1] == 100, percents
assert any("Stand-in" in p or "Finishing" in p
           for p in (line["phase"] for line in lines[:-1]))
assert [d["overlay"] for d in lines[-1]["disks"]] == [
    sys.argv[1] + "/over/one.vmdk.overlay.qcow2",
    sys.argv[1] + "/over/two.qcow2.overlay.qcow2"]
assert lines[-1]["committed"] is False
PY
  matches v2v.log 'Converting Stand-in'
  matches "$notes/args" '^libvirtxml$'
  [ "$version" = 2.2.0 ] || matches v2v.log '^<domain/>'
  rm -r over
done

# More arguments reach virt-v2v, and which system to take.
rawview inject --overlay=over.qcow2 --root=/dev/sda2 --v2v=--mac \
  --v2v=00:11:22:33:44:55:network:lan in/one.vmdk >out
matches "$notes/args" '^/dev/sda2$'
matches "$notes/args" '^00:11:22:33:44:55:network:lan$'

# An overlay that is there is somebody's.
cp over.qcow2 before
status=0
rawview inject --overlay=over.qcow2 in/one.vmdk >out 2>err || status=$?
[ "$status" -eq 6 ] || fail "status $status"
line_count err 1
matches err 'over.qcow2: exists already'
same before over.qcow2

# To look whether all is there changes nothing.
rm "$notes"/*
rawview inject --check in/one.vmdk in/two.qcow2 >out 2>err ||
  fail "status $?: $(cat err)"
[ ! -e "$notes/pid" ] || fail 'it was run'

has_no_leftovers in one.vmdk two.qcow2
no_folders run || fail "this is left: $(ls run/*)"
(cd in && sha256sum --quiet -c ../sums) || fail 'an image has changed'
