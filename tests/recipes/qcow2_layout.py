# SPDX-License-Identifier: LGPL-2.1-or-later
"""QCOW2: one layout of the file.

In this order: header, refcount table and blocks, L1 tables, snapshot table,
bitmaps, L2 tables, data.
"""

import struct

from model import Blob, RecipeError, garbage, round_up

COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1

EXT_BACKING_FORMAT = 0xe2792aca
EXT_DATA_FILE = 0x44415441
EXT_FEATURES = 0x6803f857
EXT_BITMAPS = 0x23852875

# name: (offset, format)
HEADER = {
    "magic": (0, "be32"), "version": (4, "be32"),
    "backing_file_offset": (8, "be64"), "backing_file_size": (16, "be32"),
    "cluster_bits": (20, "be32"), "size": (24, "be64"),
    "crypt_method": (32, "be32"),
    "l1_size": (36, "be32"), "l1_table_offset": (40, "be64"),
    "refcount_table_offset": (48, "be64"),
    "refcount_table_clusters": (56, "be32"),
    "nb_snapshots": (60, "be32"), "snapshots_offset": (64, "be64"),
}
HEADER3 = {
    "incompatible_features": (72, "be64"),
    "compatible_features": (80, "be64"),
    "autoclear_features": (88, "be64"),
    "refcount_order": (96, "be32"), "header_length": (100, "be32"),
    "compression_type": (104, "be8"),
}


class Table:
    """An L1 or L2 table of the layout."""

    def __init__(self):
        self.entries = {}
        self.host = None


class Layout:
    """The half of Qcow2 that writes.  Needs what its statements have set."""

    def per_l2(self):
        return self.cluster // (16 if self.extended else 8)

    def l1_needed(self, size):
        return -(-size // (self.cluster * self.per_l2()))

    def tables(self):
        """The L1 of the disk and those of snapshots, sharing equal L2s."""
        found = {}
        out = []
        for clusters in [self.map] + [s.map for s in self.taken]:
            l1 = Table()
            for c in sorted(clusters):
                index, slot = divmod(c, self.per_l2())
                l1.entries.setdefault(index, {})[slot] = clusters[c]
            for index, slots in l1.entries.items():
                key = tuple((n, k.serial) for n, k in sorted(slots.items()))
                l2 = found.setdefault(key, Table())
                l2.entries = slots
                l1.entries[index] = l2
            out.append(l1)
        return out, list(found.values())

    def place_data(self, l2s):
        """Give clusters places relative to the data area; its length."""
        todo = {k.serial: k for t in l2s for k in t.entries.values()}
        at = 0
        for k in sorted(todo.values(), key=lambda k: k.serial):
            if k.kind == "compressed":
                at = round_up(at, k.align)
                k.host = at
                at += len(k.payload)
            elif k.has_host() and not self.data_file:
                at = round_up(at, self.cluster)
                k.host = at
                at += self.cluster
        return list(todo.values()), at

    def build(self):
        self.begin()
        cs = self.cluster
        self.blob = blob = Blob()
        l1s, l2s = self.tables()
        if self.bitmaps:
            self.extensions.append((EXT_BITMAPS, bytes(24)))
            self.features["autoclear"] |= 1
        self.l1_size = max(self.l1_needed(self.size), self.l1_min)
        clusters, data_len = self.place_data(l2s)
        sizes = [self.l1_size] + [s.l1_size for s in self.taken]
        table, offsets = self.snapshot_table()

        meta = [round_up(max(8 * n, 1), cs) // cs for n in sizes]
        meta += [round_up(len(table), cs) // cs]
        meta += [2 * len(self.bitmaps) + bool(self.bitmaps)]
        total = 1 + sum(meta) + len(l2s) + -(-data_len // cs)
        rt, rb = self.refcount_sizes(total)

        at = cs
        blob.places |= {"header": 0, "reftable": at}
        blob.places["refblock"] = at + rt * cs
        at += (rt + rb) * cs
        for n, (l1, count) in enumerate(zip(l1s, meta)):
            l1.host = at
            at += count * cs
            blob.places[f"snapshot[{n - 1}].l1" if n else "l1"] = l1.host
        blob.places["snapshots"] = at
        at += meta[-2] * cs
        blob.places["bitmaps"] = at
        at += meta[-1] * cs
        for n, l2 in enumerate(l2s):
            l2.host = at
            blob.places[f"l2table[{n}]"] = at
            at += cs
        blob.places["data"] = at
        for k in clusters:
            if k.host is not None:
                k.host += at
        blob.places["end"] = at + data_len
        blob.truncate((1 + rt + rb + total - 1) * cs)

        self.reftable_clusters = rt
        self.count_references(l1s)
        self.write_header()
        self.write_tables(l1s, l2s)
        if self.taken:
            self.write_snapshots(table, offsets, l1s)
        if self.bitmaps:
            self.write_bitmaps()
        for k in clusters:
            if k.host is not None:
                blob.write(k.host, k.payload)
        if self.data_file:
            self.write_data_file()
        blob.truncate(round_up(blob.size, cs))
        self.write_refcounts(rt, rb)

    def refcount_sizes(self, clusters):
        per_block = self.cluster * 8 >> self.order
        rt = rb = 1
        while True:
            need = -(-(clusters + rt + rb) // per_block)
            if need <= rb and -(-rb * 8 // self.cluster) <= rt:
                return rt, rb
            rb = max(rb, need)
            rt = max(rt, -(-rb * 8 // self.cluster))

    def count_references(self, l1s):
        """How often each host cluster is used, by cluster number."""
        self.refs = refs = {}

        def use(off, length=1):
            for c in range(off // self.cluster,
                           -(-(off + length) // self.cluster)):
                refs[c] = refs.get(c, 0) + 1
        place = self.blob.places
        use(0, place["bitmaps"])
        if self.bitmaps:
            use(place["bitmaps"], self.cluster * (1 + 2 * len(self.bitmaps)))
        for l1 in l1s:
            for l2 in l1.entries.values():
                use(l2.host)
                for k in l2.entries.values():
                    if k.kind == "compressed":
                        start = k.host // 512 * 512
                        use(start, 512 * (self.sectors(k) + 1))
                    elif k.host is not None:
                        use(k.host)

    def sectors(self, k):
        """The 'additional sectors' of a compressed cluster."""
        last = (k.host + len(k.payload) - 1) // 512 - k.host // 512
        return last + k.claim

    def copied(self, host):
        return COPIED if self.refs[host // self.cluster] == 1 else 0

    # The parts

    def write_header(self):
        blob = self.blob
        v3 = self.version >= 3
        length = self.header_length or (112 if v3 else 72)
        for name, (off, fmt) in (HEADER | HEADER3 if v3 else HEADER).items():
            blob.field(name, off, fmt)
        if length > 112:
            blob.write(112, b"\xa5" * (length - 112))
        if self.codec == "zstd":
            self.features["incompatible"] |= 8
        if self.extended:
            self.features["incompatible"] |= 16
        values = {
            "magic": 0x514649fb, "version": self.version,
            "cluster_bits": self.cluster.bit_length() - 1,
            "size": self.size,
            "l1_size": self.l1_size, "l1_table_offset": blob.places["l1"],
            "refcount_table_offset": blob.places["reftable"],
            "refcount_table_clusters": self.reftable_clusters,
        }
        if self.taken:
            values |= {"nb_snapshots": len(self.taken),
                       "snapshots_offset": blob.places["snapshots"]}
        if v3:
            values |= {f"{n}_features": v for n, v in self.features.items()}
            values |= {"refcount_order": self.order, "header_length": length}
            if length > 104:
                values["compression_type"] = self.codec == "zstd"
        for name, value in values.items():
            blob.set(name, value)
        self.write_extensions(length)

    def write_extensions(self, at):
        blob = self.blob
        blob.places["extensions"] = at
        extensions = list(self.extensions)
        if self.end_extension:
            extensions.append((0, b""))
        for n, (kind, data) in enumerate(extensions):
            blob.places[f"ext[{n}]"] = at
            blob.field(f"ext[{n}].type", at, "be32", kind)
            blob.field(f"ext[{n}].length", at + 4, "be32", len(data))
            blob.write(at + 8, data)
            at += 8 + round_up(len(data), 8)
        if self.backing_name is not None:
            blob.set("backing_file_offset", at)
            blob.set("backing_file_size", len(self.backing_name))
            blob.write(at, self.backing_name)
            at += len(self.backing_name)
        if at > self.cluster:
            raise RecipeError("the header is larger than a cluster")

    def entry(self, k, guest_off, active):
        """The L2 entry, and the bitmap of an extended one."""
        bitmap = k.alloc | k.zeroed << 32
        if k.kind == "compressed":
            shift = 62 - (self.cluster.bit_length() - 1 - 8)
            return COMPRESSED | self.sectors(k) << shift | k.host, 0
        if not k.has_host():
            return (0 if self.extended else ZERO), bitmap
        if self.data_file:
            value = COPIED | guest_off
        else:
            value = k.host | (self.copied(k.host) if active else 0)
        if k.kind == "prealloc" and not self.extended:
            value |= ZERO
        return value, bitmap

    def write_tables(self, l1s, l2s):
        blob = self.blob
        for i in range(self.l1_size):
            blob.field(f"l1[{i}]", l1s[0].host + 8 * i, "be64")
        for n, l1 in list(enumerate(l1s))[::-1]:
            for index, l2 in l1.entries.items():
                flag = self.copied(l2.host) if n == 0 else 0
                name = f"l1[{index}]" if n == 0 else \
                    f"snapshot[{n - 1}].l1[{index}]"
                blob.field(name, l1.host + 8 * index, "be64", l2.host | flag)
                self.write_l2(l2, index, n)

    def write_l2(self, l2, index, n):
        """A shared table is written by its last user: the active disk."""
        blob = self.blob
        width = 16 if self.extended else 8
        for slot in range(self.per_l2()):
            c = index * self.per_l2() + slot
            at = l2.host + slot * width
            name = f"l2[{c}]" if n == 0 else f"snapshot[{n - 1}].l2[{c}]"
            k = l2.entries.get(slot)
            if slot > 64 and k is None and slot != self.per_l2() - 1:
                continue
            blob.field(name, at, "be64")
            if self.extended:
                blob.field(name + ".bitmap", at + 8, "be64")
            if k is None:
                continue
            value, bitmap = self.entry(k, c * self.cluster, n == 0)
            blob.set(name, value)
            if self.extended:
                blob.set(name + ".bitmap", bitmap)
            if k.host is not None:
                where = f"cluster[{c}]" if n == 0 else \
                    f"snapshot[{n - 1}].cluster[{c}]"
                blob.places[where] = k.host

    def write_refcounts(self, rt, rb):
        blob = self.blob
        cs = self.cluster
        bits = 1 << self.order
        for i in range(rt * cs // 8):
            if i < rb or i < 16:
                blob.field(f"reftable[{i}]", blob.places["reftable"] + 8 * i,
                           "be64", blob.places["refblock"] + i * cs
                           if i < rb else 0)
        base = blob.places["refblock"]
        block = bytearray(rb * cs)
        for c, n in self.refs.items():
            if n >> bits:
                raise RecipeError(f"refcount {n} does not fit {bits} bits")
            if bits < 8:
                block[c * bits // 8] |= n << (c * bits % 8)
            else:
                w = bits // 8
                block[c * w:(c + 1) * w] = n.to_bytes(w, "big")
                if c < 64:
                    blob.field(f"refcount[{c}]", base + c * w, f"be{bits}")
        blob.write(base, bytes(block))

    def snapshot_table(self):
        """The table with l1 offsets still 0, and where each entry begins."""
        out = b""
        offsets = []
        for s in self.taken:
            offsets.append(len(out))
            extra = struct.pack(">QQQ", s.vm_state, s.size, 2**64 - 1)
            extra = (extra + bytes(max(0, s.extra - 24)))[:s.extra]
            out += struct.pack(">QIHHIIQII", 0, s.l1_size, len(s.ident),
                               len(s.name), 1700000000, 0, 0,
                               min(s.vm_state, 2**32 - 1), s.extra)
            out += extra + s.ident + s.name
            out += bytes(-len(out) % 8)
        return out, offsets

    def write_snapshots(self, table, offsets, l1s):
        blob = self.blob
        base = blob.places["snapshots"]
        blob.write(base, table)
        for n, off in enumerate(offsets):
            name = f"snapshot[{n}]"
            at = base + off
            blob.places[name] = at
            blob.field(name + ".l1_table_offset", at, "be64", l1s[n + 1].host)
            blob.field(name + ".l1_size", at + 8, "be32")
            blob.field(name + ".id_size", at + 12, "be16")
            blob.field(name + ".name_size", at + 14, "be16")
            blob.field(name + ".vm_state_size", at + 32, "be32")
            blob.field(name + ".extra_data_size", at + 36, "be32")
            if self.taken[n].extra >= 16:
                blob.field(name + ".disk_size", at + 48, "be64")

    def write_bitmaps(self):
        """A directory, then for each bitmap a table and one cluster."""
        blob = self.blob
        cs = self.cluster
        base = blob.places["bitmaps"]
        granularity = 16
        directory = b""
        for n, name in enumerate(self.bitmaps):
            table = base + cs * (1 + 2 * n)
            need = -(-self.size // (1 << granularity))
            entries = -(-need // (8 * cs))
            if entries > 1:
                raise RecipeError("the disk is too large for this bitmap")
            blob.write(table, struct.pack(">Q", table + cs))
            blob.write(table + cs, b"\xff" * (need // 8))
            directory += struct.pack(">QIIBBHI", table, 1, 2, 1, granularity,
                                     len(name), 0) + name
            directory += bytes(-len(directory) % 8)
        blob.write(base, directory)
        n = [k for k, _ in self.extensions].index(EXT_BITMAPS)
        at = blob.places[f"ext[{n}]"] + 8
        blob.field("bitmaps.nb", at, "be32", len(self.bitmaps))
        blob.field("bitmaps.reserved", at + 4, "be32", 0)
        blob.field("bitmaps.dir_size", at + 8, "be64", len(directory))
        blob.field("bitmaps.dir_offset", at + 16, "be64", base)

    def write_data_file(self):
        out = self.data_file.blob
        for c, k in self.map.items():
            off = c * self.cluster
            if k.has_host():
                out.write(off, k.payload[:max(0, self.size - off)])
            elif not self.data_raw:
                out.write(off, garbage(min(self.cluster, self.size - off)))
