#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy - DEST: what is cut, damaged or cannot be read in one pass fails with a
# line that says why, and how far it got; no partial file is left.

# shellcheck disable=SC2002 # What comes from a file could be read again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized

# fails STATUS REGEX FILE [ARG…]
fails ()
{
  local expected=$1 regex=$2 file=$3 status=0

  shift 3
  cat "$file" 2>/dev/null | rawview copy "$@" - copy.raw 2>err || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat err; fail "$file ($(stat -c %s "$file") bytes): status $status, not $expected"; }
  line_count err 1
  matches err "$regex"
  [ ! -e copy.raw ] || fail "$file: a partial file is left"
}

# Cut anywhere: in the header, the descriptor, tables, grains, or at the very
# end, of both kinds of streams.  The zeros with which QEMU ends are padding.
mkimage read-vmdk-stream-footer image
python3 - <<'PY'
data = open("disk.vmdk", "rb").read().rstrip(b"\0")
open("bare.vmdk", "wb").write(data)
PY
for name in bare.vmdk image/disk.vmdk; do
  size=$(stat -c %s "$name")
  for len in 511 1024 11000 70000 $(( size - 1536 )) \
    $(( size - 512 )) $(( size - 1 )); do
    head -c "$len" "$name" >part
    fails 5 'cut|does not agree|ends at byte' part
  done
done
head -c 2 disk.vmdk >start
fails 3 'neither VMDK nor OVA' start
head -c 1000000 disk.vmdk >part
fails 5 'bytes of the stream had come, and the disk up to byte' part
: >none
fails 3 'is empty' none

# A sender that is killed.
(
  head -c 700000 disk.vmdk
  exec kill -KILL "$BASHPID"
) 2>/dev/null | { rawview copy - copy.raw 2>err && echo ok >ended; } || :
[ ! -e ended ] || fail 'a sender was killed, and that is a success'
matches err 'had come, and the disk up to byte [1-9]'
[ ! -e copy.raw ] || fail 'a partial file is left'

# Grains that are not as the tables say.
for recipe in lba lba-max checksum damaged long short size-0 size-max \
  grain-beyond table-beyond; do
  rm -rf image
  mkimage "bad-vmdk-stream-$recipe" image
  fails 5 'standard input: ' image/disk.vmdk
done
for recipe in again capacity magic marker-type missing extra-byte; do
  rm -rf image
  mkimage "refused-vmdk-footer-$recipe" image
  fails 5 'standard input: ' image/disk.vmdk
done

# The same grain twice: its place is taken from the tables, once.
cat >bad-twice.recipe <<'R'
file disk.vmdk stream
size 1m
data 0 64k
data 128k 64k seed=2
set grain[2].lba 0
expect eio 128k 64k
R
mkimage bad-twice.recipe twice
fails 5 'does not agree with the grains' twice/disk.vmdk

# What a pipe cannot bring, and the way.
make_image qcow2 disk.raw disk.qcow2
fails 4 'qcow2 cannot be read from a pipe.*file' disk.qcow2
make_image vmdk disk.raw sparse.vmdk
fails 4 'only streamOptimized.*file' sparse.vmdk
make_image vmdk disk.raw flat.vmdk -o subformat=monolithicFlat
fails 4 'descriptor.*other files' flat.vmdk
fails 3 'neither VMDK nor OVA' disk.raw
mkimage read-vmdk-stream-no-markers plain
fails 4 'grains do not say where they belong' plain/disk.vmdk
gzip -k disk.vmdk
fails 4 'gzip' disk.vmdk.gz

# Options that make no sense, and destinations that cannot go back.
fails 2 'only streamOptimized' disk.vmdk --format=raw
fails 2 'disk= is for OVA' disk.vmdk --disk=1
fails 7 'max-size' disk.vmdk --max-size=1M
status=0
cat disk.vmdk | rawview copy - - 2>err >out || status=$?
[ "$status" -eq 2 ] || fail "status $status for a pipe into a pipe"
matches err 'any order'
[ ! -s out ] || fail 'something was written'

# A signal while nothing comes.
python3 - <<'PY'
import os, signal, subprocess, sys, time
p = subprocess.Popen(["rawview", "copy", "-", "copy.raw"],
                     stdin=subprocess.PIPE, stderr=open("err", "w"))
with open("disk.vmdk", "rb") as f:
    p.stdin.write(f.read(300000))
    p.stdin.flush()
while not os.path.exists("copy.raw") and p.poll() is None:
    time.sleep(0.01)
time.sleep(0.1)
p.send_signal(signal.SIGTERM)
status = p.wait(60)
if status != 128 + signal.SIGTERM:
    sys.exit("status %d" % status)
PY
line_count err 1
matches err 'SIGTERM.*had come'
[ ! -e copy.raw ] || fail 'a partial file is left'
