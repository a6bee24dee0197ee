# SPDX-License-Identifier: LGPL-2.1-or-later
"""QCOW2: clusters from statements; qcow2_layout.py makes a file of them.

Statements make a map from guest cluster to Cluster; a snapshot keeps a copy
of that map.
"""

import struct

from codec import deflate, zstd
from model import Blob, Guest, RecipeError, garbage, round_up
from qcow2_layout import EXT_BACKING_FORMAT, EXT_DATA_FILE, EXT_FEATURES, \
    Layout
from recipe import Builder


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


class Qcow2(Layout, Builder):
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


class DataFile(Builder):
    """The external data file of a QCOW2 image."""

    format = "raw"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()
