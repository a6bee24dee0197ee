#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A signal stops a copy cleanly: the usual status, one line, no partial file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires_nbdkit
requires nbdkit --filter=delay --filter=rate null --version
cd "$tmp"
yes 'takes long to copy' | head -c 64M >disk.raw || [ "$?" -eq 141 ]
make_image qcow2 disk.raw disk.qcow2

# An image that takes many reads of 300 ms, so that even on a busy machine the
# signal comes in the middle.
start_nbdkit -P pid -U "$tmp/sock" --filter=delay file disk.qcow2 \
  delay-read=300ms

for signal in TERM INT; do
  # The shell ignores SIGINT for what it runs in the background.
  python3 - "$signal" <<'PY'
import os, signal, subprocess, sys, time
signum = getattr(signal, "SIG" + sys.argv[1])
p = subprocess.Popen(["rawview", "copy", "--connections=1",
                      "nbd+unix:///?socket=sock", "copy.raw"],
                     stderr=open("err", "w"))
while not os.path.exists("copy.raw") and p.poll() is None:
    time.sleep(0.01)
time.sleep(0.1)
p.send_signal(signum)
status = p.wait(60)
if status != 128 + signum:
    sys.exit("status %d" % status)
PY
  [ ! -e copy.raw ] || fail 'a partial file is left'
  line_count err 1
  matches err "SIG$signal"
done
