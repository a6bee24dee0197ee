#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel asks for 1 MiB at a time, and not again for what it has, also when
# the file was closed in between.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse
requires strace -o /dev/null true

cd "$tmp"
head -c 8M /dev/urandom >disk.raw
make_image qcow2 disk.raw disk.qcow2
touch view
mount_view disk.qcow2 view

# The tables are known from here on.
dd if=view of=copy bs=512 count=1 iflag=direct status=none
strace -f -o trace -e trace=pread64 -p "$view_pid" 2>log &
tracer=$!
cleanup_fn stop_process "$tracer"
wait_until 30 grep -q attached log || skip "strace: $(cat log)"

reads () { grep -c '^[^"]*pread64(' trace || :; }

dd if=view of=copy bs=1M iflag=direct status=none
same disk.raw copy
[ "$(reads)" -eq 8 ] || fail "8 MiB need $(reads) reads: $(cat trace)"

cat view >copy
same disk.raw copy
before=$(reads)
[ "$before" -gt 8 ] || fail 'the first time nothing was read'
cat view >copy
same disk.raw copy
[ "$(reads)" -eq "$before" ] ||
  fail "what is cached was read again: $(($(reads) - before)) times"
