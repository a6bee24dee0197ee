#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A copy that fails says so in one line and with the kind's status, and leaves
# no partial file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw

# fails STATUS ARG…
fails ()
{
  local expected=$1 status=0

  shift
  rawview copy "$@" 2>err || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat err; fail "status $status, not $expected: rawview copy $*"; }
  line_count err 1
  matches err '^rawview: '
}

# The image's end is missing.
make_image vmdk disk.raw cut.vmdk -o subformat=streamOptimized
truncate -s 300000 cut.vmdk
status=0
rawview copy cut.vmdk copy.raw 2>err || status=$?
[ "$status" -ge 1 ] && [ "$status" -le 8 ] || fail "cut.vmdk: status $status"
line_count err 1
[ ! -e copy.raw ] || fail 'a partial file is left'

# Damage that is met only while data is read: garbage in a compressed cluster.
make_image qcow2 disk.raw bad.qcow2 -c
python3 - <<'PY'
import struct
f = open("bad.qcow2", "r+b")
f.seek(40)
l1 = struct.unpack(">Q", f.read(8))[0]
f.seek(l1)
l2 = struct.unpack(">Q", f.read(8))[0] & 0x00fffffffffffe00
# The cluster at 3.1 MiB is text, and so compressed.
f.seek(l2 + 8 * 50)
entry = struct.unpack(">Q", f.read(8))[0]
assert entry >> 62 & 1, hex(entry)
f.seek(entry & ((1 << 54) - 1))
f.write(b"\xff" * 64)
PY
fails 5 bad.qcow2 copy.raw
[ ! -e copy.raw ] || fail 'a partial file is left'
fails 5 --threads=5 bad.qcow2 copy.raw
[ ! -e copy.raw ] || fail 'a partial file is left'

# A file that was there before is not removed.
: >mine.raw
fails 5 bad.qcow2 mine.raw
[ -e mine.raw ] || fail 'a file that copy had not created is gone'

# Destinations that do not work.
make_image qcow2 disk.raw good.qcow2
fails 1 good.qcow2 nosuch/copy.raw
fails 1 good.qcow2 "$tmp"
fails 1 good.qcow2 /dev/full
fails 1 good.qcow2 'nbd+unix:///?socket=nosuch'
(rawview copy good.qcow2 - 2>err || echo $? >status) | head -c 1000 >/dev/null
[ "$(cat status)" -eq 1 ] || fail 'a closed pipe is a failure'
line_count err 1
