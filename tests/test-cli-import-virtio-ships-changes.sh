#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The disk is copied while the drivers are being injected; afterwards only what
# was changed is written again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires qemu-img --version
requires nbdkit --filter=log file --version
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
cp disk.raw expected.raw
injected 1 expected.raw
make_image qcow2 disk.raw one.qcow2

truncate -s 12M server
start_nbdkit -P pid -U "$tmp/sock" --filter=log file server logfile=requests
export STANDIN_DO=wait STANDIN_GO=$tmp/go
rawview import one.qcow2 --conversion=format,virtio --progress=json \
  --to "nbd+unix:///?socket=$tmp/sock" --work-dir "$tmp" >lines 2>err &
import=$!
cleanup_fn stop_process "$import"

# The whole copy has arrived, and virt-v2v still waits.
copied () { grep -q '"phase": "inject", .*"bytes": 12582912' lines; }
wait_until 60 copied || fail "the copy does not end: $(cat lines err)"
wait_until 60 test -e "$notes/written" || fail 'the stand-in has not written'
same disk.raw server
cp requests before
: >go
wait "$import" || fail "status $?: $(cat err)"
same expected.raw server

# Of 12 MiB, the first change and the trimmed MiB, in clusters of 128 KiB.
tail -n +$(( $(wc -l <before) + 1 )) requests |
  grep -oE '(Write|Zero) .*count=0x[0-9a-f]+' |
  sed 's/.*count=//' >counts || :
[ -s counts ] || fail 'nothing was written afterwards'
sum=0
while read -r count; do sum=$(( sum + count )); done <counts
[ "$sum" -ge 1048576 ] && [ "$sum" -le $(( 1048576 + 4 * 131072 )) ] ||
  fail "$sum bytes were written afterwards"

# The phases in their order, percent that never falls, and 100 at the end.
requires python3 --version
python3 - <<'PY'
import json
lines = [json.loads(l) for l in open("lines")]
order = ["analyse", "copy", "inject", "ship", "flush", "done"]
phases = [order.index(l["phase"]) for l in lines]
assert phases == sorted(phases), phases
assert phases[0] == 0 and phases[-1] == 5, phases
percents = [l["percent"] for l in lines]
assert percents == sorted(percents) and percents[-1] == 100, percents
assert lines[0]["plan"]["conversion"] == "format,virtio"
assert lines[-1]["injected"] == 100
PY
