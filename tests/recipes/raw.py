# SPDX-License-Identifier: LGPL-2.1-or-later
"""Raw files: the guest's bytes as they are."""

from model import Blob, Guest, RecipeError
from recipe import Builder


class Raw(Builder):
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
