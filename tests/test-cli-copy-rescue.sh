#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy --rescue: what it says and to whom, what it refuses, and that it is never
# done unasked.  Which bytes are lost, and that all others are right, is what
# every recipe of a damaged image looks at (run-recipe).

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires python3 --version
cd "$tmp"

cat >cut.recipe <<'RECIPE'
# Two losses, the second in two neighbouring pieces and up to the end.
file disk.vmdk stream
size 8m
data 0 2560k seed=1 pattern=random
data 3m 3m seed=2 pattern=text
truncate @grain[60]
patch @stream[5]+4 hex ffffffffffffffff
option rescue=yes
expect eio 320k 64k
expect eio 3840k 4352k
RECIPE
mv cut.recipe bad-cut.recipe
mkimage bad-cut.recipe image
image=image/disk.vmdk

# rescue STATUS ARG…: what it says on stdout and stderr are out.txt and err.txt.
rescue ()
{
  local expected=$1 status=0

  shift
  rawview copy --rescue "$@" >out.txt 2>err.txt || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat out.txt err.txt; fail "status $status, not $expected: $*"; }
}

python3 - <<'PY'
disk = bytearray(open("image/expected.raw", "rb").read())
for off, n in (320 << 10, 64 << 10), (3840 << 10, 4352 << 10):
    disk[off:off + n] = bytes(n)
open("want.raw", "wb").write(disk)
PY

# The list, however many threads there are.
for threads in 1 2 7; do
  rescue 16 --threads=$threads --force "$image" copy.raw
  same want.raw copy.raw
  grep '^lost: ' err.txt >lost.txt
  diff - lost.txt <<'LOST' || fail 'the list is another'
lost: 327680+65536
lost: 3932160+4456448
LOST
  matches err.txt '^rawview: 4521984 bytes in 2 places are lost'
  matches err.txt 'grain directory is missing'
done

# In order, to a pipe.
rawview copy --rescue "$image" - >piped.raw 2>err.txt && fail 'status 0'
same want.raw piped.raw

# For programs.
rescue 16 --progress=json "$image" json.raw --mapfile=disk.map
python3 - <<'PY'
import json
lines = [json.loads(line) for line in open("out.txt")]
lost = [(o["lost-offset"], o["lost-length"]) for o in lines
        if "lost-offset" in o]
assert lost == [(327680, 65536), (3932160, 4456448)], lines
assert lines[-1]["bytes"] == lines[-1]["total"] == 8 << 20, lines

# Without gaps, as ddrescue wants it.
blocks = [line.split() for line in open("disk.map")
          if not line.startswith("#")]
assert blocks.pop(0) == ["0x00000000", "+", "1"]
at = 0
for pos, size, status in blocks:
    assert int(pos, 16) == at, blocks
    at += int(size, 16)
assert at == 8 << 20, blocks
assert [(int(p, 16), int(n, 16)) for p, n, s in blocks if s == "-"] == lost
assert {s for p, n, s in blocks} == {"+", "-"}
PY
if ddrescuelog --version >/dev/null 2>&1; then
  ddrescuelog -l- -b512 disk.map >sectors.txt
  python3 - <<'PY'
lost = [int(line, 0) for line in open("sectors.txt")]
assert lost == [*range(640, 768), *range(7680, 16384)], lost[:10]
PY
fi

# Nothing is lost: 0, and the mapfile says so.
make_raw good.raw
make_image qcow2 good.raw good.qcow2
rescue 0 good.qcow2 good.copy --mapfile=good.map
same good.raw good.copy
line_count err.txt 0
matches good.map '^0x00000000 +0x00C00000 +\+$'

# A mapfile that is there, or that is a file of the image, is left alone.
before=$(sha256sum good.qcow2)
rescue 6 --mapfile=good.map good.qcow2 x.raw
rescue 6 --mapfile=good.qcow2 good.qcow2 x.raw
rescue 6 --force --mapfile=good.qcow2 good.qcow2 x.raw
rescue 6 --force --mapfile=x.raw good.qcow2 x.raw
[ "$(sha256sum good.qcow2)" = "$before" ] || fail 'the image was changed'

# A copy that fails takes its mapfile with it.
rescue 1 --mapfile=y.map good.qcow2 nosuch/x.raw
[ ! -e y.map ] || fail 'a mapfile is left of a copy that failed'

# Unasked it fails, says where, and leaves nothing.
refused err.txt rawview copy "$image" z.raw
matches err.txt '\(--rescue copies what can be read'
cp good.qcow2 bad.qcow2
damage_qcow2 bad.qcow2 3
refused err.txt rawview copy --threads=1 bad.qcow2 z.raw
matches err.txt '\(at offset 196608 of the disk; --rescue copies the rest\)$'
refused err.txt rawview copy --threads=1 --rescue=no bad.qcow2 z.raw
matches err.txt '\(at offset 196608 of the disk'
[ ! -e z.raw ] || fail 'a partial copy is left'

# Not from a pipe; no mapfile without it; never with an overlay.
refused err.txt rawview copy --rescue - z.raw
matches err.txt 'pipe'
refused err.txt rawview copy --mapfile=z.map bad.qcow2 z.raw
matches err.txt '--mapfile is for --rescue'
refused err.txt rawview copy --rescue --overlay=o.qcow2 bad.qcow2 z.raw
matches err.txt 'rescue= or overlay='
[ ! -e o.qcow2 ] || fail 'an overlay was made'
