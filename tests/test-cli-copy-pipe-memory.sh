#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# copy - DEST takes no more memory for a large disk than for a small one.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires python3 --version
cd "$tmp"
yes 'a disk that takes long to read and little place' | head -c 256M >disk.raw ||
  [ "$?" -eq 141 ]
truncate -s 1T disk.raw
make_image vmdk disk.raw disk.vmdk -o subformat=streamOptimized

# Reservations do not count, and those of sanitizers are large.
python3 - <<'PY'
import resource, subprocess, sys
with subprocess.Popen(["cat", "disk.vmdk"], stdout=subprocess.PIPE) as cat:
    subprocess.run(["rawview", "copy", "--threads=4", "-", "copy.raw"],
                   stdin=cat.stdout, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("%d KiB" % used)
if used > 64 << 10:
    sys.exit("too much")
PY
cmp -n $(( 256 << 20 )) disk.raw copy.raw
[ "$(stat -c %s copy.raw)" -eq $(( 1 << 40 )) ] || fail 'wrong size'
