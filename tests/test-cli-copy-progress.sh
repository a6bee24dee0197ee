#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Progress: JSON lines that grow to the total; a bar only where it is wanted.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2

rawview copy --progress=json disk.qcow2 1.raw >lines
python3 - <<'PY'
import json
lines = [json.loads(l) for l in open("lines")]
assert len(lines) >= 2, lines
for l in lines:
    assert l.keys() == {"bytes", "total", "percent", "rate", "eta"}, l
    assert l["total"] == 12 << 20 and 0 <= l["percent"] <= 100, l
done = [l["bytes"] for l in lines]
assert done == sorted(done) and done[-1] == 12 << 20, done
assert lines[-1]["percent"] == 100 and lines[-1]["eta"] == 0, lines[-1]
PY

# Neither a terminal nor an option: silence.
rawview copy disk.qcow2 2.raw >out 2>err
[ ! -s out ] && [ ! -s err ] || fail 'it should have been silent'

rawview copy -p disk.qcow2 3.raw >out 2>err
[ ! -s out ] || fail 'the bar went to stdout'
tr '\r' '\n' <err | tail -1 >last
matches last '^\[=+\] 100\.0%  12 MiB of 12 MiB, .*/s, 0:00:00 left'

# A narrow terminal has it all in one line, which can be drawn over.
if script --version >/dev/null 2>&1; then
  script -qec 'stty cols 40; rawview copy disk.qcow2 5.raw' /dev/null >out \
    </dev/null
  matches out '100\.0%'
  tr '\r' '\n' <out | sed 's/\x1b\[K//' >narrow
  if grep -E '.{40}' narrow; then
    fail 'wider than the terminal'
  fi
fi

# It fails before the end: never 100 percent.
truncate -s 700000 disk.qcow2
refused err rawview copy --progress=json disk.qcow2 4.raw >lines
! grep -q '"percent": 100' lines || fail '100 percent of a failed copy'
