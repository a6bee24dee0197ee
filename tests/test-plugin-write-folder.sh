#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images of a folder are written in place; while that is so listing it opens
# nothing twice, and with the last client it ends.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
requires qemu-io --version

mkdir "$tmp/images"
cd "$tmp/images"
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse split.vmdk 16M
qemu-img create -q -f qcow2 other.qcow2 16M
serve_rw dir="$tmp/images"

cat >"$tmp/try.py" <<'PY'
import subprocess

def names():
    l = nbd.NBD()
    l.set_opt_mode(True)
    l.connect_uri(uri.replace("split.vmdk", ""))
    found = []
    l.opt_list(lambda name, description: found.append(name))
    l.opt_abort()
    return sorted(found)

for i in range(3):
    h.pwrite(bytes([i + 1]) * 65536, i << 20)
    h.flush()
    assert names() == ["other.qcow2", "split.vmdk"], names()
    second = nbd.NBD()
    second.connect_uri(uri)
    assert not second.is_read_only()
    assert second.pread(4, i << 20) == bytes([i + 1]) * 4
    second.pwrite(b"both", i << 20)
    second.shutdown()
    assert h.pread(4, i << 20) == b"both"
PY
nbdsh -u "$(uri_of split.vmdk)" -c "uri = '$(uri_of split.vmdk)'" \
  -c - <"$tmp/try.py"
line_count "$nbdkit_log" 0

# Nobody is there: it is QEMU's again, and clean.
free () { qemu-img check -f vmdk split.vmdk >"$tmp/check.log" 2>&1; }
wait_until 10 free || fail "not clean: $(cat "$tmp/check.log")"
writable ()
{
  qemu-io -f vmdk -c 'write -P 1 8M 512' split.vmdk >"$tmp/io.log" 2>&1
}
wait_until 10 writable || fail "still locked: $(cat "$tmp/io.log")"
nbdsh -u "$(uri_of split.vmdk)" -c 'assert h.pread(4, 0) == b"both"' \
  -c 'h.pwrite(b"more", 0)'
stop_server
line_count "$nbdkit_log" 0
is_clean vmdk split.vmdk
