#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy to an NBD server: whatever the server can do, the bytes arrive, and old
# contents are overwritten with zeros where the disk is zero.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires nbdkit --version
cd "$tmp"
make_raw disk.raw
truncate -s 40M disk.raw
make_image qcow2 disk.raw disk.qcow2 -c

# served SIZE ARG…: a file full of old data, served by nbdkit; then the copy.
served ()
{
  local size=$1

  shift
  head -c "$size" /dev/urandom >server
  cp server old
  nbdkit -U - "$@" --run 'rawview copy disk.qcow2 "$uri" 2>err'
  cmp -n 41943040 disk.raw server || fail "nbdkit $*: the copy differs"
  cmp -i 41943040 old server || fail "nbdkit $*: what lies behind was changed"
}

served 40M file server
served 50M file server
served 40M --threads=1 --filter=noparallel file server
served 40M --filter=multi-conn file server multi-conn-mode=disable
served 40M --filter=nozero file server
served 40M --filter=multi-conn --filter=nozero file server \
  multi-conn-mode=disable
if nbdkit --filter=blocksize-policy null --version >/dev/null 2>&1; then
  served 40M --filter=blocksize-policy file server \
    blocksize-minimum=4096 blocksize-preferred=64k blocksize-maximum=1M \
    blocksize-error-policy=error
fi

# Only data is written to what reads as zeros.
nbdkit -U - --filter=log memory 40M logfile=log \
  --run 'rawview copy --destination-is-zero disk.qcow2 "$uri" &&
         nbdcopy "$uri" copy.raw'
same disk.raw copy.raw
! grep -q ' Zero ' log || fail 'zeros were sent'
matches log ' Write '
matches log ' Flush '

# As many connections as threads, if the server bears several clients.
for mode in auto disable; do
  rm -f log
  nbdkit -U - --filter=multi-conn --filter=log memory 40M logfile=log \
    multi-conn-mode=$mode --run 'rawview copy --threads=3 disk.qcow2 "$uri"'
  echo "multi-conn $mode: $(grep -c ' Connect ' log)" >>connections
done
matches connections 'auto: 3'
matches connections 'disable: 1'

# fails STATUS ARG…
fails ()
{
  local expected=$1 status=0

  shift
  nbdkit -U - "$@" --run 'rawview copy disk.qcow2 "$uri" 2>err' \
    2>/dev/null || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat err; fail "status $status: nbdkit $*"; }
  line_count err 1
}

fails 2 memory 39M
matches err 'bytes, the disk needs 41943040'
fails 6 --readonly memory 40M
fails 1 --filter=error memory 40M error-pwrite=ENOSPC error-pwrite-rate=100%
matches err 'No space left'
fails 1 --filter=error memory 40M error-flush=EIO error-flush-rate=100%
