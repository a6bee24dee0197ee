# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hosted sparse extent (KDMV) and streamOptimized."""

from codec import deflate
from model import Blob, RecipeError, SECTOR, garbage, round_up
from vmdk_grains import Grain, GrainFile, sectors

FLAG_NEWLINES = 1
FLAG_REDUNDANT = 2
FLAG_ZERO = 4
FLAG_COMPRESSED = 1 << 16
FLAG_MARKERS = 1 << 17


class Sparse(GrainFile):
    """The hosted sparse extent, with or without an embedded descriptor."""

    default_type = "monolithicSparse"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.version = 1
        self.flags = FLAG_NEWLINES | FLAG_REDUNDANT
        self.gtes = 512
        self.descriptor_at = 1
        self.descriptor_size = 20
        self.skip_empty = False

    def do_version(self, st):
        self.version = st.num(0)

    def do_flag(self, st):
        self.flags |= 1 << st.num(0)

    def do_no_flag(self, st):
        self.flags &= ~(1 << st.num(0))

    def do_gtes(self, st):
        """entries in a grain table"""
        self.gtes = st.num(0)

    def do_descriptor(self, st):
        """descriptor none | descriptor SECTOR [SECTORS]"""
        if st.args[0] == "none":
            self.descriptor_at = self.descriptor_size = 0
        else:
            self.descriptor_at = st.num(0)
            self.descriptor_size = st.num(1, 20)

    def do_zero_grains(self, st):
        """Grain table entries of 1 mean zero."""
        self.flags |= FLAG_ZERO

    def do_no_redundant(self, st):
        self.flags &= ~FLAG_REDUNDANT

    def do_no_empty_tables(self, st):
        """Directory entries of tables without grains are 0."""
        self.skip_empty = True

    def do_zero(self, st):
        if not self.flags & FLAG_ZERO:
            raise RecipeError("zero needs zero-grains")
        self.zero_grains(st, 1)

    def write_header(self, at, gd, rgd, overhead, prefix=""):
        blob = self.blob
        for name, off, fmt, value in (
                ("magic", 0, "be32", 0x4b444d56),
                ("version", 4, "le32", self.version),
                ("flags", 8, "le32", self.flags),
                ("capacity", 12, "le64", self.size // SECTOR),
                ("grainSize", 20, "le64", self.grain // SECTOR),
                ("descriptorOffset", 28, "le64", self.descriptor_at),
                ("descriptorSize", 36, "le64", self.descriptor_size),
                ("numGTEsPerGT", 44, "le32", self.gtes),
                ("rgdOffset", 48, "le64", rgd),
                ("gdOffset", 56, "le64", gd),
                ("overHead", 64, "le64", overhead),
                ("uncleanShutdown", 72, "le8", 0),
                ("compressAlgorithm", 77, "le16",
                 1 if self.flags & FLAG_COMPRESSED else 0)):
            blob.field(prefix + name, at + off, fmt, value)
        blob.write(at + 73, b"\n \r\n")
        blob.truncate(max(blob.size, at + SECTOR))

    def write_descriptor(self):
        if not self.descriptor_at:
            return
        text = self.descriptor_bytes("SPARSE")
        if len(text) > self.descriptor_size * SECTOR:
            raise RecipeError("the descriptor does not fit")
        self.blob.places["descriptor"] = self.descriptor_at * SECTOR
        self.blob.write(self.descriptor_at * SECTOR, text)

    def tables_used(self):
        count = -(-self.grains_needed() // self.gtes)
        if not self.skip_empty:
            return count, list(range(count))
        return count, sorted({g // self.gtes for g in self.map})

    def write_tables(self, gd, gts, prefix=""):
        """A directory and its tables; gts: table number -> sector."""
        blob = self.blob
        count, _ = self.tables_used()
        blob.places[f"{prefix}gd"] = gd * SECTOR
        for t in range(count):
            blob.field(f"{prefix}gd[{t}]", gd * SECTOR + 4 * t, "le32",
                       gts.get(t, 0))
        for t, at in gts.items():
            blob.places[f"{prefix}gttable[{t}]"] = at * SECTOR
            for n in range(min(self.gtes, 512)):
                g = t * self.gtes + n
                if g in self.map or n < 64:
                    k = self.map.get(g, 0)
                    value = k.at if isinstance(k, Grain) else k
                    blob.field(f"{prefix}gt[{g}]", at * SECTOR + 4 * n,
                               "le32", value)

    def build(self):
        self.begin()
        blob = self.blob = Blob()
        count, used = self.tables_used()
        gt_sectors = sectors(self.gtes * 4)
        at = 1
        if self.descriptor_at:
            at = self.descriptor_at + self.descriptor_size
        layout = {}
        for prefix in ("r", "") if self.flags & FLAG_REDUNDANT else ("",):
            gd = at
            at += sectors(count * 4)
            gts = {}
            for t in used:
                gts[t] = at
                at += gt_sectors
            layout[prefix] = gd, gts
        overhead = round_up(at, max(1, self.grain // SECTOR))
        at = overhead
        for g, k in self.map.items():
            if isinstance(k, Grain):
                k.at = at
                blob.places[f"grain[{g}]"] = at * SECTOR
                at += sectors(len(k.payload))
                blob.write(k.at * SECTOR, k.payload)
        rgd = layout["r"][0] if "r" in layout else 0
        self.write_header(0, layout[""][0], rgd, overhead)
        for prefix, (gd, gts) in layout.items():
            self.write_tables(gd, gts, prefix)
        self.write_descriptor()
        blob.truncate(at * SECTOR)


class Stream(Sparse):
    """streamOptimized: compressed grains, markers, tables behind them."""

    default_type = "streamOptimized"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.version = 3
        self.flags = FLAG_NEWLINES | FLAG_COMPRESSED | FLAG_MARKERS
        self.skip_empty = True
        self.footer = True
        self.short_last = True
        self.progress = set()
        self.padding = 0
        self.reverse = False

    def do_no_markers(self, st):
        """A grain is then a u32 size and the stream."""
        self.flags &= ~FLAG_MARKERS

    def do_no_footer(self, st):
        """The directory stands at the front, named by the header."""
        self.footer = False

    def do_full_last_grain(self, st):
        self.short_last = False

    def do_progress(self, st):
        """progress OFF: a progress marker before this grain"""
        self.progress.add(st.num(0) // self.grain)

    def do_padding(self, st):
        """zeros behind the end-of-stream marker"""
        self.padding = st.num(0)

    def do_reverse(self, st):
        """The last grain first."""
        self.reverse = True

    def marker(self, kind, count, name):
        """A metadata marker; what it names begins in the next sector."""
        at = self.blob.size
        self.blob.places[name] = at
        self.blob.field(f"{name}.val", at, "le64", count)
        self.blob.field(f"{name}.size", at + 8, "le32", 0)
        self.blob.field(f"{name}.type", at + 12, "le32", kind)
        self.blob.truncate(at + SECTOR)

    def write_grain(self, g, k):
        blob = self.blob
        data = k.payload
        if self.short_last:
            data = data[:self.size - g * self.grain]
        if k.produce is not None:
            data = (data + garbage(k.produce))[:k.produce]
        stream = deflate(data, k.method, 15, True, k.level)
        at = blob.size
        k.at = at // SECTOR
        blob.places[f"grain[{g}]"] = at
        lba = g * self.grain // SECTOR
        if self.flags & FLAG_MARKERS:
            blob.field(f"grain[{g}].lba", at, "le64", lba)
            blob.field(f"grain[{g}].size", at + 8, "le32", len(stream))
            at += 12
        else:
            blob.field(f"grain[{g}].size", at, "le32", len(stream))
            at += 4
        blob.places[f"stream[{g}]"] = at
        blob.places[f"streamend[{g}]"] = at + len(stream)
        blob.write(at, stream)
        blob.truncate(round_up(blob.size, SECTOR))

    def order(self):
        grains = sorted(g for g, k in self.map.items()
                        if isinstance(k, Grain))
        return grains[::-1] if self.reverse else grains

    def build(self):
        self.begin()
        self.blob = Blob()
        if self.footer:
            self.build_with_footer()
        else:
            self.build_with_header()
        self.write_descriptor()
        self.marker(0, 0, "eos")
        self.blob.truncate(self.blob.size + self.padding)

    def build_with_header(self):
        """Tables at the front, as in a sparse file."""
        count, used = self.tables_used()
        gd = self.descriptor_at + self.descriptor_size or 1
        at = gd + sectors(count * 4)
        gts = {}
        for t in used:
            gts[t] = at
            at += sectors(self.gtes * 4)
        overhead = round_up(at, self.grain // SECTOR)
        self.blob.truncate(overhead * SECTOR)
        for g in self.order():
            self.write_grain(g, self.map[g])
        self.write_header(0, gd, 0, overhead)
        self.write_tables(gd, gts)

    def build_with_footer(self):
        blob = self.blob
        overhead = max(128, self.descriptor_at + self.descriptor_size)
        blob.truncate(overhead * SECTOR)
        count, used = self.tables_used()
        gts = {}
        order = self.order()
        for n, g in enumerate(order):
            if g in self.progress:
                self.marker(4, 0, f"progress[{g}]")
            self.write_grain(g, self.map[g])
            table = g // self.gtes
            if n + 1 == len(order) or order[n + 1] // self.gtes != table:
                self.marker(1, sectors(self.gtes * 4), f"gtmarker[{table}]")
                gts[table] = blob.size // SECTOR
                blob.truncate(blob.size + sectors(self.gtes * 4) * SECTOR)
        self.marker(2, sectors(count * 4), "gdmarker")
        gd = blob.size // SECTOR
        blob.truncate(blob.size + sectors(count * 4) * SECTOR)
        self.write_tables(gd, gts)
        self.marker(3, 1, "footermarker")
        blob.places["footer"] = blob.size
        self.write_header(blob.size, gd, 0, overhead, "footer.")
        self.write_header(0, 2**64 - 1, 0, overhead)
