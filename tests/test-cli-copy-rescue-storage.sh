#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy --rescue: of storage with bad sectors those alone are lost; storage that
# is gone is no loss.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit --version
requires nbdkit eval --version
requires python3 --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2

# Where the guest's bytes at 1 MiB - 1 KiB are in the file.
host=$(rawview map --json disk.qcow2 | python3 -c '
import json, sys
off = (1 << 20) - 1024
for e in json.load(sys.stdin):
    if e["start"] <= off < e["start"] + e["length"]:
        print(e["offset"] + off - e["start"])')
[ "$host" ] || fail 'no data there'

# serve_file SOCKET CASES: a server of disk.qcow2, but for what CASES does with
# a request for $3 bytes at $4.
serve_file ()
{
  # shellcheck disable=SC2016
  start_nbdkit -P "$1.pid" -U "$1" eval \
    get_size="stat -Lc %s $tmp/disk.qcow2" \
    pread="$2"'
           dd if='"$tmp"'/disk.qcow2 iflag=count_bytes,skip_bytes \
             skip=$4 count=$3 status=none' 2>nbdkit.log
}

# Three sectors in a row there cannot be read.
serve_file "$tmp/bad.sock" "
  [ \$(( \$4 + \$3 )) -le $host ] || [ \$4 -ge $(( host + 1536 )) ] ||
    { echo EIO bad sector >&2; exit 1; }"
uri="nbd+unix:///?socket=$tmp/bad.sock"

status=0
rawview copy --rescue "$uri" copy.raw --sparse=0 2>err.txt || status=$?
[ "$status" -eq 16 ] || { cat err.txt; fail "status $status"; }
grep '^lost: ' err.txt >lost.txt
echo 'lost: 1047552+1536' | diff - lost.txt || fail 'other sectors are lost'
python3 - <<'PY'
disk = bytearray(open("disk.raw", "rb").read())
disk[1047552:1047552 + 1536] = bytes(1536)
if disk != open("copy.raw", "rb").read():
    raise SystemExit("the copy is wrong")
PY

# Without --rescue the copy ends there.
refused err.txt rawview copy --threads=1 "$uri" x.raw
matches err.txt 'at offset 1047552 of the disk; --rescue'

# A server that fails from that request on: half a copy is no rescue.
serve_file "$tmp/gone.sock" "
  [ \$(( \$4 + \$3 )) -le $host ] || [ \$4 -ge $(( host + 1536 )) ] ||
    touch $tmp/gone
  [ ! -e $tmp/gone ] || { echo EIO gone >&2; exit 1; }"
status=0
rawview copy --rescue "nbd+unix:///?socket=$tmp/gone.sock" gone.raw \
  2>err.txt || status=$?
[ "$status" -eq 1 ] || { cat err.txt; fail "gone: status $status"; }
if grep '^lost: ' err.txt; then
  fail 'what could not be asked for is called lost'
fi
[ ! -e gone.raw ] || fail 'a partial copy is left'
