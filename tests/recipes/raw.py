# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are not in a format of their own: raw, text, gzip."""

import gzip

from model import Blob, Guest, RecipeError
from recipe import Builder, unescape


class Raw(Builder):
    """The guest's bytes as they are."""

    format = "raw"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()

    def do_size(self, st):
        self.blob.truncate(st.num(0))

    def do_data(self, st):
        off, length = st.num(0), st.num(1)
        if off + length > self.blob.size:
            raise RecipeError("data past the end")
        self.blob.write(off, self.guest_bytes(st, off, length))

    def do_copy(self, st):
        """Take the bytes of an earlier file."""
        self.blob.write(0, self.world.get(st.args[0]).blob.bytes())

    def apply(self, st):
        super().apply(st)
        self.look()

    def build(self):
        self.look()

    def look(self):
        self.layer = Guest(self.blob.size)
        self.layer.bytes = self.blob.copy()
        self.layer.data.add(0, self.blob.size)
        self.view = self.layer


class Bytes(Builder):
    """A file of literal text or patterns that is not an image."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()

    def do_literal(self, st):
        self.blob.write(self.blob.size, unescape(st.literal) + b"\n")

    def do_hex(self, st):
        self.blob.write(self.blob.size, bytes.fromhex("".join(st.words)))

    def do_size(self, st):
        self.blob.truncate(st.num(0))

    def build(self):
        pass


class Gzip(Builder):
    """An earlier file, compressed."""

    def do_of(self, st):
        data = self.world.get(st.args[0]).blob.bytes()
        self.blob = Blob()
        self.blob.write(0, gzip.compress(data, mtime=0))

    def build(self):
        pass
