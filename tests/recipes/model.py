# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest sees, and what lies in a file: sparse bytes and ranges.

Nothing here knows any image format.
"""

import os
import random

SECTOR = 512
PAGE = 65536
ZERO_PAGE = bytes(PAGE)


class RecipeError(Exception):
    """The recipe is wrong (not the image: images are wrong on purpose)."""


class Sparse:
    """A byte string with holes.  Writing past the end makes it longer."""

    def __init__(self, size=0):
        self.size = size
        self.pages = {}

    def write(self, off, data):
        end = off + len(data)
        pos = 0
        while off < end:
            number, start = divmod(off, PAGE)
            n = min(PAGE - start, end - off)
            page = self.pages.get(number)
            if page is None:
                page = self.pages[number] = bytearray(PAGE)
            page[start:start + n] = data[pos:pos + n]
            off += n
            pos += n
        self.size = max(self.size, end)

    def read(self, off, length):
        """Always length bytes: zeros in holes and beyond the end."""
        out = bytearray()
        end = off + length
        while off < end:
            number, start = divmod(off, PAGE)
            n = min(PAGE - start, end - off)
            page = self.pages.get(number)
            out += page[start:start + n] if page else ZERO_PAGE[:n]
            off += n
        return bytes(out)

    def zero(self, off, length):
        """Make holes of whole pages, and clear the edges."""
        end = off + length
        first = -(-off // PAGE)
        last = end // PAGE
        for number in [p for p in self.pages if first <= p < last]:
            del self.pages[number]
        for a, b in ((off, min(end, first * PAGE)),
                     (max(off, last * PAGE), end)):
            if a < b and a // PAGE in self.pages:
                start = a % PAGE
                self.pages[a // PAGE][start:start + b - a] = bytes(b - a)

    def truncate(self, size):
        if size < self.size:
            self.zero(size, self.size - size)
        self.size = size

    def copy(self):
        other = Sparse(self.size)
        other.pages = {n: bytearray(p) for n, p in self.pages.items()}
        return other

    def last_byte(self):
        """The end of the last byte that is not zero."""
        for number in sorted(self.pages, reverse=True):
            used = len(self.pages[number].rstrip(b"\0"))
            if used:
                return number * PAGE + used
        return 0

    def dump(self, path):
        with open(path, "wb") as f:
            f.truncate(self.size)
            for number in sorted(self.pages):
                page = self.pages[number]
                if page == ZERO_PAGE:
                    continue
                off = number * PAGE
                f.seek(off)
                f.write(page[:max(0, min(PAGE, self.size - off))])

    def bytes(self):
        return self.read(0, self.size)


class Ranges:
    """A set of byte offsets, kept as sorted [start, end) pairs."""

    def __init__(self, pairs=()):
        self.pairs = list(pairs)

    def remove(self, off, length):
        end = off + length
        out = []
        for a, b in self.pairs:
            if b <= off or a >= end:
                out.append((a, b))
                continue
            if a < off:
                out.append((a, off))
            if b > end:
                out.append((end, b))
        self.pairs = out

    def add(self, off, length):
        if length <= 0:
            return
        start, end = off, off + length
        out = []
        for a, b in self.pairs:
            if b < start or a > end:
                out.append((a, b))
            else:
                start, end = min(a, start), max(b, end)
        out.append((start, end))
        self.pairs = sorted(out)

    def clip(self, size):
        self.pairs = [(a, min(b, size)) for a, b in self.pairs if a < size]

    def copy(self):
        return Ranges(self.pairs)

    def missing(self, size):
        """The complement in [0, size), as a list of (off, len)."""
        out = []
        at = 0
        for a, b in self.pairs:
            if a >= size:
                break
            if at < a:
                out.append((at, a - at))
            at = b
        if at < size:
            out.append((at, size - at))
        return out


class Guest:
    """The guest's bytes in one layer, or in a whole chain.

    `data` is where bytes are stored, `zero` is where the layer says "zero";
    anywhere else the layer says nothing.
    """

    def __init__(self, size):
        self.size = size
        self.bytes = Sparse(size)
        self.data = Ranges()
        self.zeros = Ranges()

    def put_data(self, off, data):
        data = data[:max(0, self.size - off)]
        self.bytes.write(off, data)
        self.data.add(off, len(data))
        self.zeros.remove(off, len(data))

    def mark_data(self, off, length):
        length = max(0, min(length, self.size - off))
        self.data.add(off, length)
        self.zeros.remove(off, length)

    def put_zero(self, off, length):
        length = max(0, min(length, self.size - off))
        self.bytes.zero(off, length)
        self.data.remove(off, length)
        self.zeros.add(off, length)

    def drop(self, off, length):
        self.bytes.zero(off, length)
        self.data.remove(off, length)
        self.zeros.remove(off, length)

    def resize(self, size):
        self.bytes.truncate(size)
        self.size = size
        self.data.clip(size)
        self.zeros.clip(size)

    def read(self, off, length):
        return self.bytes.read(off, length)

    def copy(self):
        other = Guest(self.size)
        other.bytes = self.bytes.copy()
        other.data = self.data.copy()
        other.zeros = self.zeros.copy()
        return other

    def overlay(self, layer, at=0, length=None, skip=0):
        """Put layer's [skip, skip+length) on top of this one, at `at`."""
        if length is None:
            length = layer.size - skip
        for a, b in layer.zeros.pairs:
            a, b = max(a, skip), min(b, skip + length)
            if a < b:
                self.put_zero(at + a - skip, b - a)
        for a, b in layer.data.pairs:
            a, b = max(a, skip), min(b, skip + length)
            if a < b:
                self.put_data(at + a - skip, layer.read(a, b - a))


def text_pattern(seed, off, length):
    """Every sector says whose it is and where it belongs."""
    first = off // SECTOR
    last = -(-(off + length) // SECTOR)
    out = b"".join(b"seed %-5d guest %-14d\n" % (seed, s * SECTOR) * 16
                   for s in range(first, last))
    start = off - first * SECTOR
    return out[start:start + length]


def pattern(kind, seed, off, length):
    """Bytes of a `data` statement.  kind: text random repeat:N byte:N"""
    name, _, arg = kind.partition(":")
    if name == "text":
        return text_pattern(seed, off, length)
    if name == "random":
        return random.Random(seed * 1000003 + off).randbytes(length)
    if name == "repeat":
        piece = random.Random(seed).randbytes(int(arg, 0))
        return (piece * (length // len(piece) + 1))[:length]
    if name == "byte":
        return bytes([int(arg, 0)]) * length
    raise RecipeError(f"unknown pattern {kind}")


def garbage(length):
    """Bytes no guest may ever see."""
    return (b"LEAKED HOST BYTES! " * (length // 19 + 1))[:length]


class Blob(Sparse):
    """A file being made, with names for its fields and places.

    fields: name -> (offset, format), format one of be8 be16 be32 be64 le…
    places: name -> offset
    """

    def __init__(self):
        super().__init__()
        self.fields = {}
        self.places = {}

    def field(self, name, off, fmt, value=None):
        self.fields[name] = (off, fmt)
        if value is not None:
            self.write(off, encode(fmt, value))

    def get(self, name):
        off, fmt = self.fields[name]
        width = int(fmt[2:]) // 8
        order = "big" if fmt[:2] == "be" else "little"
        return int.from_bytes(self.read(off, width), order)

    def set(self, name, value):
        if name not in self.fields:
            raise RecipeError(f"no field {name}; there are: "
                              + " ".join(self.fields))
        off, fmt = self.fields[name]
        self.write(off, encode(fmt, value))

    def place(self, name):
        if name == "eof":
            return self.size
        if name in self.places:
            return self.places[name]
        if name in self.fields:
            return self.fields[name][0]
        raise RecipeError(f"no place {name}; there are: "
                          + " ".join(list(self.places) + list(self.fields)))


def encode(fmt, value):
    width = int(fmt[2:]) // 8
    order = "big" if fmt[:2] == "be" else "little"
    return (value & ((1 << 8 * width) - 1)).to_bytes(width, order)


def round_up(n, unit):
    return -(-n // unit) * unit


def make_parents(path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
