#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# If the storage does not keep what was written, close(2), fsync(2), the log and
# the exit status say so; reading goes on.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_fuse
requires python3 --version
requires strace -f -e inject=fdatasync:error=EIO true
touch "$tmp/view"
make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"

# In one thread, because strace counts the calls of each for itself.
strace -f -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=2+ \
  rawviewfs -f -s --rw --pid-file "$tmp/view.pid" "$tmp/disk.qcow2" "$tmp/view" \
  2>"$tmp/view.log" &
strace=$!
wait_until 30 test -s "$tmp/view.pid" || fail 'no mount'
cleanup_fn end_view "$tmp/view" "$(cat "$tmp/view.pid")"

cat >"$tmp/write.py" <<'PY'
import errno
import os
import sys

v = os.open(sys.argv[1], os.O_RDWR)


def fails(f, *args):
    try:
        f(*args)
    except OSError as e:
        assert e.errno == errno.EIO, e
    else:
        raise AssertionError(f"{f.__name__} succeeded")


for i in range(10):
    os.pwrite(v, b"x" * 512, (8 << 20) + i * 65536)
fails(os.fsync, v)
fails(os.fsync, v)
fails(os.close, v)
PY
python3 "$tmp/write.py" "$tmp/view"
cmp -n 5242880 "$tmp/disk.raw" "$tmp/view" || fail 'it cannot be read'
fusermount3 -u "$tmp/view"
status=0
wait "$strace" || status=$?
[ "$status" -eq 1 ] || fail "rawviewfs ended with status $status"
matches "$tmp/view.log" '^rawviewfs: .*disk\.qcow2.*Input/output error'
[ "$(wc -l <"$tmp/view.log")" -lt 10 ] || fail 'it says so too often'
