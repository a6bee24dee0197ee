# SPDX-License-Identifier: LGPL-2.1-or-later
"""The snapshot extents of ESX: COWD and seSparse."""

import struct

from model import Blob, SECTOR, round_up
from vmdk_grains import Grain, GrainFile, sectors


class Cowd(GrainFile):
    """The ESX 3 snapshot extent (COWD): no descriptor inside."""

    grain = 512
    per_table = 4096

    def build(self):
        self.begin()
        blob = self.blob = Blob()
        span = self.per_table * self.grain
        count = -(-self.size // span)
        for name, off, value in (
                ("version", 4, 1), ("flags", 8, 3),
                ("capacity", 12, self.size // SECTOR),
                ("grainSize", 16, self.grain // SECTOR), ("gdOffset", 20, 4),
                ("numGDEntries", 24, count), ("freeSector", 28, 0)):
            blob.field(name, off, "le32", value)
        blob.field("magic", 0, "be32", 0x434f5744)
        blob.field("uncleanShutdown", 1648, "le8")
        at = 4 + round_up(sectors(4 * count), 1)
        blob.places["gd"] = 4 * SECTOR
        gts = {}
        for t in sorted({g // self.per_table for g in self.map}):
            gts[t] = at
            at += sectors(4 * self.per_table)
        for t in range(count):
            blob.field(f"gd[{t}]", 4 * SECTOR + 4 * t, "le32", gts.get(t, 0))
        for t, where in gts.items():
            for n in range(8):
                blob.field(f"gt[{t * self.per_table + n}]",
                           where * SECTOR + 4 * n, "le32")
        for g, k in self.map.items():
            table, n = divmod(g, self.per_table)
            blob.field(f"gt[{g}]", gts[table] * SECTOR + 4 * n, "le32", at)
            blob.places[f"grain[{g}]"] = at * SECTOR
            blob.write(at * SECTOR, k.payload)
            at += self.grain // SECTOR
        blob.set("freeSector", at)
        blob.truncate(at * SECTOR)


class SeSparse(GrainFile):
    """The VMFS 6 snapshot extent: 4 KiB grains, 64-bit entries."""

    grain = 4096
    per_table = 4096

    UNMAPPED = 1 << 60
    ZERO = 2 << 60
    ALLOCATED = 3 << 60

    def do_zero(self, st):
        self.zero_grains(st, self.ZERO)

    def do_unmapped(self, st):
        """unmapped OFF LEN: the guest discarded it; reads zero"""
        self.zero_grains(st, self.UNMAPPED)

    @classmethod
    def gte(cls, index):
        return cls.ALLOCATED | (index & 0xfff) << 48 | index >> 12

    def build(self):
        self.begin()
        blob = self.blob = Blob()
        count = -(-self.size // (self.per_table * self.grain))
        used = sorted({g // self.per_table for g in self.map})
        stored = {}
        for g, k in self.map.items():
            if isinstance(k, Grain):
                stored[g] = len(stored)
        areas = {"volatile_header": 1, "journal_header": 1, "journal": 8,
                 "grain_dir": sectors(8 * count),
                 "grain_tables": 64 * max(1, len(used)),
                 "free_bitmap": 1, "backmap": sectors(8 * len(stored)) or 1,
                 "grains": 8 * len(stored)}
        header = [("magic", 0xcafebabe), ("version", 0x200000001),
                  ("capacity", self.size // SECTOR), ("grain_size", 8),
                  ("grain_table_size", 64), ("flags", 0)]
        header += [(f"reserved{n}", 0) for n in range(1, 5)]
        at = 1
        for name, size in areas.items():
            if name == "grains":
                at = round_up(at, 8)
            header += [(name + "_offset", at), (name + "_size", size)]
            blob.places[name] = at * SECTOR
            at += size
        for n, (name, value) in enumerate(header):
            blob.field(name, 8 * n, "le64", value)
        for n, (name, value) in enumerate((
                ("magic", 0xcafecafe), ("free_gt_number", len(used)),
                ("next_txn_seq_number", 0), ("replay_journal", 0))):
            blob.field(f"volatile.{name}", SECTOR + 8 * n, "le64", value)
        for t in range(count):
            value = 1 << 60 | used.index(t) if t in used else 0
            blob.field(f"gd[{t}]", blob.places["grain_dir"] + 8 * t, "le64",
                       value)
        for i, t in enumerate(used):
            table = blob.places["grain_tables"] + i * 64 * SECTOR
            for n in range(self.per_table):
                g = t * self.per_table + n
                if n < 16 or g in self.map:
                    self.write_entry(g, table + 8 * n, stored)
        for i, g in enumerate(stored):
            place = blob.places["grains"] + i * self.grain
            blob.places[f"grain[{g}]"] = place
            blob.write(place, self.map[g].payload)
            blob.write(blob.places["backmap"] + 8 * i, struct.pack("<Q", g))
        blob.truncate(at * SECTOR)

    def write_entry(self, g, at, stored):
        k = self.map.get(g, 0)
        value = self.gte(stored[g]) if isinstance(k, Grain) else k
        self.blob.field(f"gt[{g}]", at, "le64", value)
