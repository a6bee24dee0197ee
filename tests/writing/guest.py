# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that writes to an NBD export and knows what it must read afterwards.

Each sector that it writes says which request wrote it, and where.
"""

import os
import random
import struct
import subprocess
import time

import nbd

SECTOR = 512
ZEROS = bytes(SECTOR)


def sector_of_request(request, sector):
    return struct.pack("<QQ", 0xC4A5 << 48 | request, sector) * (SECTOR // 16)


def describe(data):
    if data == ZEROS:
        return "zeros"
    tag, sector = struct.unpack("<QQ", data[:16])
    if tag >> 48 == 0xC4A5:
        return "sector %d of request %d" % (sector, tag & (1 << 48) - 1)
    return "other bytes"


class Model:
    """For each sector the values that may be read after a crash: the first is
    that of the last flush, and those of later requests follow."""

    def __init__(self, raw):
        self.sectors = [[raw[i:i + SECTOR]] for i in range(0, len(raw), SECTOR)]

    def write(self, off, data):
        for i in range(0, len(data), SECTOR):
            self.sectors[(off + i) // SECTOR].append(data[i:i + SECTOR])

    def zero(self, off, length):
        self.write(off, bytes(length))

    def flushed(self, trimmed):
        """trimmed: sectors that a trim was the last to touch."""
        for s, values in enumerate(self.sectors):
            if len(values) > 1 and s not in trimmed:
                del values[:-1]

    def wrong(self, raw):
        """Sectors with a value that nobody put there."""
        return [s for s, values in enumerate(self.sectors)
                if raw[s * SECTOR:(s + 1) * SECTOR] not in values]


class Guest:
    """Sends seeded requests, one after another."""

    def __init__(self, handle, raw, seed, unit):
        self.h = handle
        self.model = Model(raw)
        self.size = len(raw)
        self.rng = random.Random(seed)
        self.unit = unit
        self.number = 0
        self.trimmed = set()
        # Most requests fall into a few places.
        self.places = [self.rng.randrange(0, max(1, self.size // unit)) * unit
                       for _ in range(5)]

    def choose_range(self):
        rng = self.rng
        off = rng.choice(self.places)
        kind = rng.randrange(4)
        if kind == 0:
            length = self.unit * rng.randrange(1, 4)
        elif kind == 1:
            off += rng.randrange(self.unit // SECTOR) * SECTOR
            length = rng.randrange(1, 17) * SECTOR
        elif kind == 2:
            off = rng.randrange(self.size // SECTOR) * SECTOR
            length = rng.randrange(1, 65) * SECTOR
        else:
            off += rng.randrange(self.unit // 4096 or 1) * 4096
            length = 4096
        off = min(off, self.size - SECTOR)
        return off, min(length, self.size - off)

    def touch(self, off, length, trim):
        sectors = range(off // SECTOR, (off + length) // SECTOR)
        if trim:
            self.trimmed.update(sectors)
        else:
            self.trimmed.difference_update(sectors)

    def write(self, off, length):
        data = b"".join(sector_of_request(self.number, s) for s in
                        range(off // SECTOR, (off + length) // SECTOR))
        self.model.write(off, data)
        self.touch(off, length, False)
        self.h.pwrite(data, off)

    def zero(self, off, length, flags=0):
        self.model.zero(off, length)
        self.touch(off, length, False)
        self.h.zero(length, off, flags)

    def trim(self, off, length):
        self.model.zero(off, length)
        self.touch(off, length, True)
        self.h.trim(length, off)

    def flush(self):
        self.h.flush()
        self.model.flushed(self.trimmed)

    def small_request(self):
        """4 KiB anywhere, as a database writes."""
        self.number += 1
        if self.rng.randrange(8) == 0:
            self.flush()
        else:
            self.write(self.rng.randrange(self.size // 4096) * 4096, 4096)

    def request(self, trims=True):
        self.number += 1
        off, length = self.choose_range()
        kind = self.rng.randrange(20)
        if kind < 12:
            self.write(off, length)
        elif kind < 14:
            flags = nbd.CMD_FLAG_NO_HOLE if self.rng.randrange(2) else 0
            self.zero(off, length, flags)
        elif kind < 16:
            if trims:
                self.trim(off, length)
            else:
                self.zero(off, length)
        else:
            self.flush()


# --- Servers ------------------------------------------------------------------

def server_command(name, sock, image, fmt):
    if name == "qemu-nbd":
        return ["qemu-nbd", "-f", fmt, "-k", sock, "--cache=writeback",
                "--discard=unmap", "--detect-zeroes=off", image]
    return ["nbdkit", "-f", "-t", "1", "-U", sock, "rawview", image]


def connect(sock, process):
    """None if the server has died."""
    for _ in range(3000):
        if process.poll() is not None:
            return None
        if os.path.exists(sock):
            h = nbd.NBD()
            try:
                h.connect_unix(sock)
                return h
            except nbd.Error:
                pass
        time.sleep(0.005)
    raise RuntimeError("the server does not answer")


def run(*args):
    return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=120)


def read_by_rawview(image, out):
    """The whole disk, or the reason why not."""
    r = run("rawview", "copy", "--force", image, out)
    if r.returncode != 0:
        return None, r.stderr.strip()
    with open(out, "rb") as f:
        return f.read(), None


def read_by_qemu(image, fmt, out):
    r = run("qemu-img", "convert", "-f", fmt, "-O", "raw", image, out)
    if r.returncode != 0:
        return None, r.stderr.strip()
    with open(out, "rb") as f:
        return f.read(), None
