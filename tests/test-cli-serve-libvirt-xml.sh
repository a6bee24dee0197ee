#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# serve --libvirt-xml prints disks for a domain, well-formed whatever the names.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires_nbdkit
cd "$tmp"
name="<it's> & \"more\".qcow2"
qemu-img create -q -f qcow2 "$name" 1M
qemu-img create -q -f qcow2 b.qcow2 1M

rawview serve --libvirt-xml --socket "$tmp/a&b.sock" "$name" b.qcow2 >xml &
server=$!
cleanup_fn stop_process "$server"
complete () { [ "$(grep -c '^</disk>$' xml)" -eq 2 ]; }
wait_until 30 complete || fail 'no XML'
kill "$server"
wait "$server"

python3 - "$name" "$tmp/a&b.sock" <<'PY'
import sys
import xml.etree.ElementTree as ET
name, sock = sys.argv[1:]
disks = ET.fromstring("<x>" + open("xml").read() + "</x>").findall("disk")
assert [d.find("source").get("name") for d in disks] == [name, "b.qcow2"]
for d, target in zip(disks, ["vda", "vdb"]):
    assert d.attrib == {"type": "network", "device": "disk"}, d.attrib
    assert d.find("driver").attrib == {"name": "qemu", "type": "raw"}
    assert d.find("source").get("protocol") == "nbd"
    assert d.find("source/host").attrib == {"transport": "unix",
                                            "socket": sock}
    assert d.find("source/reconnect").get("delay") == "10"
    assert d.find("target").attrib == {"dev": target, "bus": "virtio"}
PY
