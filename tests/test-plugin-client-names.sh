#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a client asks for reaches the log as one printable line.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
serve "$tmp/disk.qcow2"

export sock
nbdsh -c - <<'PY'
import os

for name in ("no\nnbdkit: such line", "../disk.qcow2", "\033[31m", "x" * 4096):
    client = nbd.NBD()
    client.set_export_name(name)
    try:
        client.connect_unix(os.environ["sock"])
    except nbd.Error:
        continue
    raise SystemExit(f"{name!r} was served")
PY
matches "$nbdkit_log" 'there is no export called'
# Nothing but what nbdkit begins, and no control characters.
! grep -v '^nbdkit: rawview' "$nbdkit_log" || fail 'a line was forged'
! grep '[[:cntrl:]]' "$nbdkit_log" || fail 'control characters in the log'
