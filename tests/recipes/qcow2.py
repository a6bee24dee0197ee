# SPDX-License-Identifier: LGPL-2.1-or-later
"""QCOW2: clusters from statements, then one layout of the file.

Statements make a map from guest cluster to Cluster; a snapshot keeps a copy
of that map.  build() lays out, in this order: header, refcount table and
blocks, L1 tables, snapshot table, bitmaps, L2 tables, data.
"""

import struct

from codec import deflate, zstd
from model import Blob, Guest, RecipeError, garbage, round_up
from recipe import Builder

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


class Cluster:
    """What one L2 entry says.

    kind: data zero prealloc compressed.  alloc and zeroed are the bitmap of
    an extended L2 entry; host is where the bytes lie, set by the layout.
    """

    serial = 0

    def __init__(self, kind, payload=b"", alloc=0, zeroed=0):
        self.kind = kind
        self.payload = payload
        self.alloc = alloc
        self.zeroed = zeroed
        self.host = None
        self.align = 1
        self.claim = 0
        self.owner = None
        Cluster.serial += 1
        self.serial = Cluster.serial

    def has_host(self):
        return self.kind in ("data", "prealloc")


class Snapshot:
    pass


class Table:
    """An L1 or L2 table of the layout."""

    def __init__(self):
        self.entries = {}
        self.host = None


class Qcow2(Builder):
    format = "qcow2"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.version = 3
        self.cluster = 65536
        self.size = None
        self.order = 4
        self.header_length = None
        self.codec = "zlib"
        self.extended = False
        self.features = {"incompatible": 0, "compatible": 0, "autoclear": 0}
        self.l1_min = 0
        self.backing = None
        self.backing_name = None
        self.extensions = []
        self.end_extension = True
        self.data_file = None
        self.data_raw = False
        self.map = {}
        self.taken = []
        self.bitmaps = []
        self.garbage_tail = False

    # Settings

    def do_version(self, st):
        self.version = st.num(0)

    def do_cluster_size(self, st):
        self.cluster = st.num(0)

    def do_size(self, st):
        self.size = st.num(0)

    def do_refcount_order(self, st):
        self.order = st.num(0)

    def do_header_length(self, st):
        self.header_length = st.num(0)

    def do_compression(self, st):
        self.codec = st.args[0]

    def do_extended_l2(self, st):
        self.extended = True

    def do_incompatible(self, st):
        self.features["incompatible"] |= 1 << st.num(0)

    def do_compatible(self, st):
        self.features["compatible"] |= 1 << st.num(0)

    def do_autoclear(self, st):
        self.features["autoclear"] |= 1 << st.num(0)

    def do_l1_size(self, st):
        self.l1_min = st.num(0)

    def do_garbage_tail(self, st):
        """Fill the last cluster, past the end of the disk, with rubbish."""
        self.garbage_tail = True

    def do_backing(self, st):
        """backing FILE [name=TEXT] [format=FMT|none]"""
        name = st.args[0]
        base = self.world.files.get(name)
        fmt = base.format if base else "raw"
        if base and base.view:
            self.backing = base
        self.backing_name = st.keys.get("name", name).encode()
        fmt = st.keys.get("format", fmt)
        if fmt != "none":
            self.extensions.append((EXT_BACKING_FORMAT, fmt.encode()))

    def do_extension(self, st):
        """extension TYPE hex BYTES | extension TYPE text TEXT"""
        data = st.words[2].encode() if st.words[1] == "text" \
            else bytes.fromhex(st.words[2])
        self.extensions.append((st.num(0), data))

    def do_feature_names(self, st):
        names = [(0, 0, "dirty bit"), (0, 1, "corrupt bit"),
                 (0, 2, "external data file"), (0, 3, "compression type"),
                 (0, 4, "extended L2 entries"), (1, 0, "lazy refcounts"),
                 (2, 0, "bitmaps"), (2, 1, "raw external data")]
        self.extensions.append((EXT_FEATURES, b"".join(
            struct.pack("BB46s", t, b, n.encode()) for t, b, n in names)))

    def do_no_end(self, st):
        """No END extension: the backing file's name follows at once."""
        self.end_extension = False

    def do_data_file(self, st):
        """data-file FILE [raw]: guest bytes lie in FILE, which is made."""
        name = st.args[0]
        self.data_file = DataFile(self.world, name)
        self.world.add(name, self.data_file)
        self.data_raw = "raw" in st.args[1:]
        recorded = st.keys.get("name", name)
        self.features["incompatible"] |= 4
        if self.data_raw:
            self.features["autoclear"] |= 2
        self.extensions.append((EXT_DATA_FILE, recorded.encode()))

    def do_bitmap(self, st):
        """bitmap NAME: a dirty bitmap, all of it set"""
        self.bitmaps.append(st.args[0].encode())

    # What the guest sees

    def begin(self):
        if self.view is not None:
            return
        if self.size is None:
            raise RecipeError("no size")
        # Sectors are 512 bytes: what is left over is not shown.
        shown = self.size // 512 * 512
        self.view = Guest(shown)
        self.layer = Guest(shown)
        if self.backing:
            base = self.backing.view
            self.view.overlay(base, 0, min(base.size, shown))
        if self.data_file:
            self.data_file.blob.truncate(self.size)

    def subclusters(self):
        return 32 if self.extended else 1

    def clusters(self, st):
        """Guest clusters of a statement that takes whole ones."""
        self.begin()
        off, length = st.num(0), st.num(1)
        unit = self.cluster
        if off % unit or (length % unit and off + length < self.view.size):
            raise RecipeError("not whole clusters")
        return range(off // unit, -(-(off + length) // unit))

    def content(self, c):
        """All bytes of guest cluster c, as the guest sees them now."""
        data = self.view.read(c * self.cluster, self.cluster)
        past = (c + 1) * self.cluster - self.view.size
        if self.garbage_tail and past > 0:
            data = data[:-past] + garbage(past)
        return data

    def mask(self, c, off, end):
        """The subclusters of cluster c touched by [off, end)."""
        sub = self.cluster // self.subclusters()
        first = max(0, (off - c * self.cluster) // sub)
        last = min(self.subclusters(), -(-(end - c * self.cluster) // sub))
        return sum(1 << i for i in range(first, last))

    def mark(self, c, mask, put):
        """Tell layer and view about some subclusters."""
        sub = self.cluster // self.subclusters()
        for i in range(self.subclusters()):
            if mask >> i & 1:
                put(c * self.cluster + i * sub, sub)

    def put_data(self, c, mask):
        for guest in (self.layer, self.view):
            def put(off, length, guest=guest):
                guest.put_data(off, self.view.read(off, length))
            self.mark(c, mask, put)

    def put_zero(self, c, mask):
        for guest in (self.layer, self.view):
            self.mark(c, mask, guest.put_zero)

    def put_bytes(self, off, data):
        data = data[:max(0, self.view.size - off)]
        self.view.bytes.write(off, data)

    def do_data(self, st):
        """data OFF LEN [seed=N] [pattern=P]: plain clusters"""
        self.begin()
        off, length = st.num(0), st.num(1)
        end = off + length
        if end > round_up(self.view.size, 512):
            raise RecipeError("data past the end")
        self.put_bytes(off, self.guest_bytes(st, off, length))
        for c in range(off // self.cluster, -(-end // self.cluster)):
            self.write_cluster(c, self.mask(c, off, end))

    def write_cluster(self, c, touched):
        old = self.map.get(c)
        alloc, zeroed = 0, 0
        payload = garbage(self.cluster)
        if self.extended and old and old.kind == "compressed":
            alloc = (1 << 32) - 1
        elif self.extended and old:
            alloc, zeroed = old.alloc, old.zeroed
            if old.has_host():
                payload = old.payload
        alloc |= touched
        sub = self.cluster // self.subclusters()
        payload = bytearray(payload)
        whole = self.content(c)
        for i in range(self.subclusters()):
            if alloc >> i & 1:
                payload[i * sub:(i + 1) * sub] = whole[i * sub:(i + 1) * sub]
        self.put_data(c, touched)
        self.map[c] = Cluster("data", bytes(payload), alloc,
                              zeroed & ~touched)

    def do_zero(self, st):
        """zero OFF LEN: zero clusters (or subclusters) without a place"""
        self.zero(st, keep=False)

    def do_zero_alloc(self, st):
        """zero-alloc OFF LEN: zero clusters with a place full of rubbish"""
        self.zero(st, keep=True)

    def zero(self, st, keep):
        self.begin()
        off, length = st.num(0), st.num(1)
        end = off + length
        sub = self.cluster // self.subclusters()
        if off % sub or (length % sub and end < self.view.size):
            raise RecipeError("not whole subclusters")
        for c in range(off // self.cluster, -(-end // self.cluster)):
            touched = self.mask(c, off, end)
            self.put_zero(c, touched)
            old = self.map.get(c)
            if self.extended and old and old.kind != "compressed":
                alloc, zeroed = old.alloc & ~touched, old.zeroed | touched
            else:
                alloc, zeroed = 0, touched
            if alloc:
                kind = "data"
            else:
                kind = "prealloc" if keep else "zero"
            payload = old.payload if alloc else garbage(self.cluster)
            self.map[c] = Cluster(kind, payload, alloc, zeroed)

    def do_prealloc(self, st):
        """prealloc OFF LEN: a place, but no subcluster in it (extended L2)"""
        if not self.extended:
            raise RecipeError("prealloc needs extended-l2")
        for c in self.clusters(st):
            self.drop(c)
            self.map[c] = Cluster("prealloc", garbage(self.cluster))

    def do_discard(self, st):
        """discard OFF LEN: unallocated again, the backing file shows"""
        for c in self.clusters(st):
            self.drop(c)

    def drop(self, c):
        self.map.pop(c, None)
        off = c * self.cluster
        self.layer.drop(off, self.cluster)
        self.view.drop(off, self.cluster)
        if self.backing:
            base = self.backing.view
            self.view.overlay(base, off, min(base.size - off, self.cluster),
                              off)

    def do_compressed(self, st):
        """compressed OFF LEN [seed=] [pattern=] [method=] [window=] …"""
        for c in self.clusters(st):
            off = c * self.cluster
            self.put_bytes(off, self.guest_bytes(st, off, self.cluster))
            full = (1 << self.subclusters()) - 1
            self.put_data(c, full)
            stream = self.compress(st, self.content(c))
            if "cut" in st.keys:
                stream = stream[:st.key("cut")]
            stream += garbage(st.key("trailing", 0))
            cluster = Cluster("compressed", stream)
            cluster.align = st.key("align", 1)
            cluster.claim = st.key("claim", 0)
            self.map[c] = cluster

    def compress(self, st, data):
        method = st.keys.get("method", "normal")
        data = data[:st.key("produce", len(data))]
        if self.codec == "zlib":
            return deflate(data, method, st.key("window", 12))
        out = zstd(data, method, st.key("frames", 1), "unsized" not in st.args)
        return out * st.key("repeat", 1)

    def do_resize(self, st):
        """resize SIZE: after a snapshot, the disk may be another size"""
        self.begin()
        self.size = st.num(0)
        old = self.view.size
        self.view.resize(self.size)
        self.layer.resize(self.size)
        for c in [c for c in self.map if c * self.cluster >= self.size]:
            del self.map[c]
        if self.backing and self.size > old:
            base = self.backing.view
            self.view.overlay(base, old, min(base.size, self.size) - old, old)

    def do_snapshot(self, st):
        """snapshot ID NAME [extra=N] [vm-state=LEN]"""
        self.begin()
        s = Snapshot()
        s.ident, s.name = st.args[0].encode(), st.args[1].encode()
        s.extra = st.key("extra", 16 if self.version >= 3 else 0)
        s.size = self.size
        s.map = dict(self.map)
        s.view = self.view.copy()
        s.vm_state = st.key("vm-state", 0)
        first = self.l1_needed(self.size) * self.per_l2()
        for c in range(-(-s.vm_state // self.cluster)):
            s.map[first + c] = Cluster("data", garbage(self.cluster),
                                       (1 << self.subclusters()) - 1)
        s.l1_size = self.l1_needed((max(s.map, default=0) + 1) * self.cluster)
        s.l1_size = max(s.l1_size, self.l1_needed(self.size), 1)
        self.taken.append(s)

    def find_snapshot(self, wanted):
        """As qemu-img -l: an id, or else a name."""
        for attr in ("ident", "name"):
            for s in self.taken:
                if getattr(s, attr) == wanted.encode():
                    if s.extra >= 16 or s.size == self.size:
                        return s.view
                    view = s.view.copy()      # its size was not recorded
                    view.resize(self.size)
                    return view
        raise RecipeError(f"no snapshot {wanted}")

    # The layout

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


class DataFile(Builder):
    """The external data file of a QCOW2 image."""

    format = "raw"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()
