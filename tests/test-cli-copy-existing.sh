#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy overwrites a file only when told to, and never what it reads from.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2
qemu-img create -q -f qcow2 -F qcow2 -b disk.qcow2 top.qcow2
make_image vmdk disk.raw flat.vmdk -o subformat=monolithicFlat

# kept FILE ARG…: copy is refused and the file stays as it is.
kept ()
{
  local file=$1 status=0

  cp "$file" before
  shift
  rawview copy "$@" 2>err || status=$?
  [ "$status" -eq 6 ] || { cat err; fail "status $status: rawview copy $*"; }
  line_count err 1
  same before "$file"
}

echo precious >file
kept file disk.qcow2 file
rawview copy --force disk.qcow2 file
same disk.raw file

# Larger than the disk before: it is cut.
truncate -s 100M file
rawview copy --force disk.qcow2 file
same disk.raw file

# An empty file needs no force, and stays the same file.
: >empty
ln empty link
rawview copy disk.qcow2 empty
same disk.raw link

kept disk.qcow2 --force disk.qcow2 disk.qcow2
kept disk.qcow2 --force top.qcow2 disk.qcow2
kept disk.qcow2 --force top.qcow2 ./disk.qcow2
kept flat-flat.vmdk --force flat.vmdk flat-flat.vmdk
ln -s disk.qcow2 symlink
kept disk.qcow2 --force top.qcow2 symlink

# A file that a virtual machine may be running from.
if python3 -c 'import fcntl; fcntl.F_OFD_SETLK' 2>/dev/null; then
  cp disk.raw busy.raw
  python3 - <<'PY' &
import fcntl, struct, sys, time
f = open("busy.raw", "r+b")
fcntl.fcntl(f, fcntl.F_OFD_SETLK,
            struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 201, 1, 0))
open("locked", "w").close()
time.sleep(60)
PY
  cleanup_fn stop_process $!
  wait_until 20 test -e locked || fail 'the lock could not be taken'
  kept busy.raw --force disk.qcow2 busy.raw
fi
