#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Plain data that adjoin in the file are read by one call, straight into the
# reply, and zeros by none.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh
requires strace -o /dev/null true
cd "$tmp"

# Data from 8 MiB to 24 MiB.
python3 - disk.raw <<'PY'
import random
import sys

random.seed(8)
with open(sys.argv[1], "wb") as f:
    f.seek(8 << 20)
    f.write(random.randbytes(16 << 20))
    f.truncate(32 << 20)
PY
make_image qcow2 disk.raw plain.qcow2
make_image vmdk disk.raw sparse.vmdk

# shellcheck disable=SC2016
# trace_reads FILE OFFSET…: read 1 MiB from each on, when tables are known; the
# calls that read FILE are in "trace".
trace_reads ()
{
  local file=$1 off python=

  shift
  for off in 0 $((8 << 20)); do python+="h.pread(512, $off);"; done
  for off; do python+="h.pread(1 << 20, $off);"; done
  nbd_python=$nbd_python python=$python \
    strace -f -qq -o trace -P "$file" -e trace=pread64,preadv \
    nbdkit -r -U - rawview "$file" \
    --run '"$nbd_python" -m nbd -u "$uri" -c "$python"' 2>log ||
    fail "$file: $(cat log)"
}

# How many there were; a call that another thread interrupts has two lines.
count () { grep -c '^[^"]*pread64(' trace; }

for file in plain.qcow2 sparse.vmdk; do
  trace_reads "$file"
  tables=$(count)
  [ "$tables" -gt 0 ] || fail "$file was never read"
  trace_reads "$file" $((10 << 20))
  [ "$(count)" -eq $((tables + 1)) ] ||
    fail "$file: 1 MiB of data needs $(($(count) - tables)) reads"
  grep -q '= 1048576$' trace || fail "$file: no read of 1 MiB: $(cat trace)"
  trace_reads "$file" $((2 << 20)) $((5 << 20)) $((28 << 20))
  [ "$(count)" -eq "$tables" ] ||
    fail "$file: zeros need $(($(count) - tables)) reads"
done
