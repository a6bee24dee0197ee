# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMDK descriptors, and disks that are a text descriptor with extents."""

import zlib

from model import Blob, Guest, RecipeError, SECTOR
from recipe import Builder, number, unescape


class Descriptor:
    """The text, wherever it is kept."""

    def __init__(self, name):
        self.create_type = None
        self.cid = zlib.crc32(name.encode()) | 1
        self.parent_cid = 0xffffffff
        self.hint = None
        self.head = []
        self.extents = []
        self.tail = []
        self.eol = b"\n"
        self.bom = False
        self.final_newline = True
        self.literal = None

    def text(self):
        if self.literal is not None:
            lines = self.literal
        else:
            lines = self.lines()
        out = self.eol.join(lines)
        if self.final_newline:
            out += self.eol
        return (b"\xef\xbb\xbf" if self.bom else b"") + out

    def lines(self):
        out = ["# Disk DescriptorFile", "version=1",
               f"CID={self.cid:08x}", f"parentCID={self.parent_cid:08x}",
               f'createType="{self.create_type}"']
        if self.hint is not None:
            out.append(f'parentFileNameHint="{self.hint}"')
        out = [line.encode() for line in out] + self.head
        out += [b"", b"# Extent description"]
        out += [line.encode() for line in self.extents]
        out += [b"", b"# The Disk Data Base", b"#DDB", b"",
                b'ddb.adapterType = "lsilogic"',
                b'ddb.geometry.cylinders = "16"',
                b'ddb.geometry.heads = "16"',
                b'ddb.geometry.sectors = "63"',
                b'ddb.virtualHWVersion = "4"']
        return out + self.tail


class DescribedBuilder(Builder):
    """Statements about the descriptor, for all kinds that have one."""

    format = "vmdk"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.descriptor = Descriptor(name)
        self.parent = None

    def do_create_type(self, st):
        self.descriptor.create_type = st.args[0]

    def do_cid(self, st):
        self.descriptor.cid = st.num(0)

    def do_parent_cid(self, st):
        self.descriptor.parent_cid = st.num(0)

    def do_parent_hint(self, st):
        self.descriptor.hint = st.words[0]

    def do_parent(self, st):
        """parent FILE [hint=TEXT]: an earlier file is the parent"""
        self.parent = self.world.get(st.args[0])
        self.descriptor.parent_cid = self.parent.descriptor.cid
        self.descriptor.hint = st.keys.get("hint", st.args[0])

    def do_head(self, st):
        """A line after createType."""
        self.descriptor.head.append(unescape(st.words[0]))

    def do_line(self, st):
        """A line at the end."""
        self.descriptor.tail.append(unescape(st.words[0]))

    def do_eol(self, st):
        self.descriptor.eol = {"crlf": b"\r\n", "lf": b"\n"}[st.args[0]]

    def do_bom(self, st):
        self.descriptor.bom = True

    def do_no_final_newline(self, st):
        self.descriptor.final_newline = False

    def do_literal(self, st):
        """| lines replace the whole descriptor."""
        if self.descriptor.literal is None:
            self.descriptor.literal = []
        self.descriptor.literal.append(unescape(st.literal))

    def start_view(self, size):
        self.layer = Guest(size)
        self.view = Guest(size)
        if self.parent:
            base = self.parent.view
            self.view.overlay(base, 0, min(base.size, size))


class Disk(DescribedBuilder):
    """A descriptor file.  Its extents are earlier files."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.pieces = []
        self.default_type = "monolithicFlat"

    def do_extent(self, st):
        """extent ACCESS SECTORS TYPE [NAME [OFFSET]] [file=F] [more=TEXT]"""
        access, sectors, kind, *rest = st.args
        line = f"{access} {sectors} {kind}"
        if rest:
            line += f' "{rest[0]}"'
        if len(rest) > 1:
            line += f" {rest[1]}"
        if "more" in st.keys:
            line += " " + st.keys["more"]
        self.descriptor.extents.append(line)
        source = st.keys.get("file", rest[0] if rest else None)
        if source != self.name and source in self.world.files:
            source = self.world.get(source)
        else:
            source = None
        try:
            length = number(sectors) * SECTOR
            skip = number(rest[1]) * SECTOR if len(rest) > 1 else 0
        except RecipeError:
            length = skip = 0           # a hostile line
        self.pieces.append((access.upper(), kind.upper(), length, source,
                            skip))

    def build(self):
        if self.world.kind == "refused":
            self.start_view(0)
        else:
            self.start_view(sum(p[2] for p in self.pieces))
            self.compose()
        if self.descriptor.create_type is None:
            self.descriptor.create_type = self.default_type
        self.blob = Blob()
        self.blob.write(0, self.descriptor.text())

    def compose(self):
        at = 0
        for access, kind, length, source, skip in self.pieces:
            if access == "NOACCESS" or kind == "ZERO":
                self.layer.put_zero(at, length)
            elif source is None:
                raise RecipeError("an extent names no earlier file")
            else:
                self.layer.overlay(source.layer, at, length, skip)
            at += length
        self.view.overlay(self.layer)
