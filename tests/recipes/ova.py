# SPDX-License-Identifier: LGPL-2.1-or-later
"""OVA: a tar archive, written header by header so that it may lie."""

import hashlib

from model import Blob, RecipeError, SECTOR, round_up
from recipe import Builder

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
 <References>
%s </References>
 <DiskSection>
  <Info>Virtual disks</Info>
%s </DiskSection>
 <VirtualSystem ovf:id="guest">
  <Info>A guest</Info>
  <Name>guest</Name>
 </VirtualSystem>
</Envelope>
"""
FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html"


class Ova(Builder):
    format = "ova"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()
        self.contents = {}
        self.disks = []
        self.count = 0
        self.end = True

    def do_ovf(self, st):
        """ovf NAME DISK… [compression=gzip] [chunk=N]: an envelope"""
        refs = disks = ""
        for n, disk in enumerate(st.args[1:], 1):
            builder = self.world.get(disk)
            more = "".join(f' ovf:{k}="{v}"' for k, v in (
                ("compression", st.keys.get("compression")),
                ("chunkSize", st.keys.get("chunk"))) if v)
            href = st.keys.get("prefix", "") + disk
            refs += (f'  <File ovf:id="file{n}" ovf:href="{href}" '
                     f'ovf:size="{builder.blob.size}"{more}/>\n')
            size = builder.view.size if builder.view else 0
            disks += (f'  <Disk ovf:diskId="disk{n}" ovf:fileRef="file{n}" '
                      f'ovf:capacity="{size}" ovf:format="{FORMAT}"/>\n')
        self.add(st.args[0], (OVF % (refs, disks)).encode(), st)

    def do_mf(self, st):
        """mf NAME: a manifest of the members so far"""
        text = "".join(f"SHA256({n})= {hashlib.sha256(d).hexdigest()}\n"
                       for n, d in self.contents.items())
        self.add(st.args[0], text.encode(), st)

    def do_member(self, st):
        """member NAME [from=FILE] [type=C] [size=HEX] [base256] [pax] …"""
        source = st.keys.get("from", st.args[0])
        builder = self.world.get(source)
        self.world.inner.add(source)
        self.add(st.args[0], builder.blob.bytes(), st)
        if builder.view is not None and "hidden" not in st.args:
            self.disks.append((st.args[0], builder.view))

    def do_entry(self, st):
        """entry NAME type=C [link=TARGET]: a member without contents"""
        self.add(st.args[0], b"", st)

    def do_no_end(self, st):
        """no zero blocks at the end"""
        self.end = False

    def add(self, name, data, st):
        self.contents[name] = data
        size = b"%011o\0" % len(data)
        if "base256" in st.args:
            size = b"\x80" + len(data).to_bytes(11, "big")
        if "size" in st.keys:
            size = bytes.fromhex(st.keys["size"])
        stored = name
        if "pax" in st.args:
            records = (self.record("path", name)
                       + self.record("size", len(data)))
            self.header("PaxHeaders/" + str(self.count),
                        b"%011o\0" % len(records), b"x", "")
            self.body(records)
            stored = f"short-{self.count}"
            size = b"%011o\0" % 0
        self.header(stored, size, st.keys.get("type", "0").encode(),
                    st.keys.get("link", ""))
        self.blob.places[f"member[{self.count}]"] = self.blob.size
        self.body(data)
        self.count += 1

    @staticmethod
    def record(key, value):
        """A pax record, which begins with its own length."""
        rest = f" {key}={value}\n".encode()
        n = len(rest)
        while n != len(str(n)) + len(rest):
            n = len(str(n)) + len(rest)
        return str(n).encode() + rest

    def header(self, name, size, kind, link):
        at = self.blob.size
        prefix, name = self.split(name.encode())
        head = bytearray(SECTOR)
        for off, text in ((0, name), (100, b"0000644\0"), (108, b"0000000\0"),
                          (116, b"0000000\0"), (124, size),
                          (136, b"14524770400\0"), (148, b" " * 8),
                          (156, kind), (157, link.encode()),
                          (257, b"ustar\0" b"00"), (345, prefix)):
            head[off:off + len(text)] = text
        head[148:156] = b"%06o\0 " % sum(head)
        self.blob.places[f"header[{self.count}]"] = at
        self.blob.write(at, bytes(head))

    @staticmethod
    def split(name):
        if len(name) <= 100:
            return b"", name
        cut = name.rfind(b"/", 0, 156)
        if cut < 0 or len(name) - cut - 1 > 100:
            raise RecipeError("the name needs pax")
        return name[:cut], name[cut + 1:]

    def body(self, data):
        self.blob.write(self.blob.size, data)
        self.blob.truncate(round_up(self.blob.size, SECTOR))

    def find_disk(self, wanted):
        """By number from 1 on, or by the member's name."""
        for n, (name, guest) in enumerate(self.disks, 1):
            if wanted in (str(n), name):
                return guest
        raise RecipeError(f"no disk {wanted}")

    def build(self):
        if self.end:
            self.blob.truncate(round_up(self.blob.size + 1024, 10240))
        if self.disks:
            self.view = self.disks[0][1]
