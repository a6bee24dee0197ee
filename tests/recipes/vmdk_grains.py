# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all VMDK files made of grains share: the statements."""

from model import RecipeError, SECTOR
from vmdk import DescribedBuilder

def sectors(n):
    return -(-n // SECTOR)


class Grain:
    def __init__(self, payload):
        self.payload = payload
        self.method = "normal"
        self.level = 6
        self.produce = None
        self.at = None


class GrainFile(DescribedBuilder):
    """Grains from statements.  map: index -> Grain, or a word for a zero."""

    default_type = None
    grain = 65536

    def __init__(self, world, name):
        super().__init__(world, name)
        self.size = None
        self.map = {}
        self.extent_name = name

    def do_size(self, st):
        self.size = st.num(0)
        if self.size % SECTOR:
            raise RecipeError("not whole sectors")

    def do_grain_size(self, st):
        self.grain = st.num(0)

    def do_extent_name(self, st):
        """The name on the embedded extent line; the file may be renamed."""
        self.extent_name = st.words[0]

    def begin(self):
        if self.view is None:
            if self.size is None:
                raise RecipeError("no size")
            self.start_view(self.size)

    def do_data(self, st):
        """data OFF LEN [seed=N] [pattern=P] [method=M] [level=N] [produce=N]"""
        self.begin()
        off, length = st.num(0), st.num(1)
        if off + length > self.size:
            raise RecipeError("data past the end")
        self.view.bytes.write(off, self.guest_bytes(st, off, length))
        for g in range(off // self.grain, -(-(off + length) // self.grain)):
            data = self.view.read(g * self.grain, self.grain)
            self.view.mark_data(g * self.grain, self.grain)
            self.layer.put_data(g * self.grain, data)
            grain = self.map[g] = Grain(data)
            grain.method = st.keys.get("method", "normal")
            grain.level = st.key("level", 6)
            grain.produce = st.key("produce")

    def zero_grains(self, st, word):
        self.begin()
        off, length = st.num(0), st.num(1)
        if off % self.grain or (length % self.grain
                                and off + length < self.size):
            raise RecipeError("not whole grains")
        for g in range(off // self.grain, -(-(off + length) // self.grain)):
            self.view.put_zero(g * self.grain, self.grain)
            self.layer.put_zero(g * self.grain, self.grain)
            self.map[g] = word

    def descriptor_bytes(self, kind):
        d = self.descriptor
        if d.create_type is None:
            d.create_type = self.default_type
        if not d.extents:
            d.extents.append(f'RW {self.size // SECTOR} {kind} '
                             f'"{self.extent_name}"')
        return d.text()

    def grains_needed(self):
        return -(-self.size // self.grain)
