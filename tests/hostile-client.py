#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hostile-client.py SOCKET MODEL: an NBD client that means no good.

It speaks the protocol itself, since libraries refuse to send what it sends.
MODEL is a raw file with the bytes of the default export; what the server must
do is done to it too.  The server must answer each request that can be answered:
with success if it lies inside the disk, with an error otherwise; and whatever a
connection has done, the next one is served.  Random numbers have a fixed seed.

A disk that is read-only must stay as it is.  If it has more than 4 GiB, it gets
the longest requests that there are instead, and MODEL is not looked at.
"""

import os
import random
import socket
import struct
import sys

OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_INFO, OPT_GO = 1, 2, 3, 6, 7
REP_ACK, REP_INFO = 1, 3
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
FUA, NO_HOLE = 1, 2
IS_READ_ONLY = 2
SEED = 20

MAX_U32 = (1 << 32) - 1
MAX_U64 = (1 << 64) - 1

# The server must not make clients wait for ever.
PATIENCE = 60


class Failure(Exception):
    pass


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(path)
    return s


def receive(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(min(n - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return data


# --- The handshake

def greet(s):
    if receive(s, 16) != b"NBDMAGICIHAVEOPT":
        raise Failure("this is no NBD server")
    receive(s, 2)
    s.sendall(struct.pack(">I", 3))


def option(number, data=b"", length=None):
    return (b"IHAVEOPT" +
            struct.pack(">II", number,
                        len(data) if length is None else length) + data)


def go(name=b""):
    return struct.pack(">I", len(name)) + name + struct.pack(">H", 0)


def enter(s):
    """until requests can be sent; returns size and flags"""
    about = None
    greet(s)
    s.sendall(option(OPT_GO, go()))
    while True:
        _, _, kind, length = struct.unpack(">QIII", receive(s, 20))
        data = receive(s, length)
        if kind == REP_ACK:
            return about
        if kind != REP_INFO:
            raise Failure("the export is refused")
        if data[:2] == b"\0\0":
            about = struct.unpack(">QH", data[2:12])


class Client:
    def __init__(self, path):
        self.s = connect(path)
        self.size, self.flags = enter(self.s)
        self.cookie = 0

    def send(self, kind, off, length, flags=0, payload=b""):
        self.cookie += 1
        self.s.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind,
                                   self.cookie, off, length) + payload)

    def answer(self):
        magic, error, cookie = struct.unpack(">IIQ", receive(self.s, 16))
        if magic != 0x67446698 or cookie != self.cookie:
            raise Failure("this is not the answer to the request")
        return error

    def ask(self, kind, off, length, flags=0, payload=b""):
        """returns the error, and what was read"""
        self.send(kind, off, length, flags, payload)
        error = self.answer()
        if kind == READ and error == 0:
            return error, receive(self.s, length)
        return error, b""

    def hang_up(self):
        self.s.close()


# --- Single requests that must fail

def bad_ranges(size):
    """offset, length: nothing of this lies inside the disk as a whole"""
    yield from ((off, 0) for off in (0, 512, size, size + 1, MAX_U64))
    for off in (size, size + 1, size + 512, 1 << 40, (1 << 63) - 1, 1 << 63,
                MAX_U64 - 511, MAX_U64 - 1, MAX_U64):
        yield from ((off, n) for n in (1, 2, 512, 4096))
    yield from ((size - n + 1, n) for n in (1, 2, 512, 65536))


def try_bad_ranges(path):
    c = Client(path)
    for off, n in bad_ranges(c.size):
        for kind in (READ, WRITE, TRIM, ZEROES, CACHE):
            payload = b"x" * n if kind == WRITE else b""
            error, _ = c.ask(kind, off, n, 0, payload)
            if error == 0:
                raise Failure("request %d for %d at %d succeeds" %
                              (kind, n, off))
    for off in (0, 1, 4096, c.size - 1, MAX_U64 - MAX_U32, MAX_U64):
        for kind in (READ, TRIM, ZEROES, CACHE):
            if off + MAX_U32 <= c.size:
                continue
            error, _ = c.ask(kind, off, MAX_U32)
            if error == 0:
                raise Failure("request %d for 4 GiB - 1 at %d succeeds" %
                              (kind, off))
    c.hang_up()


def try_bad_kinds(path):
    c = Client(path)
    for kind in (STATUS, 8, 9, 255, 0x7fff, 0xffff):
        if c.ask(kind, 0, 512)[0] == 0:
            raise Failure("request %d succeeds" % kind)
    for flags in (1 << 5, 1 << 15, 0xffff):
        for kind in (READ, TRIM, ZEROES, FLUSH):
            if c.ask(kind, 0, 0 if kind == FLUSH else 512, flags)[0] == 0:
                raise Failure("request %d with flags %#x succeeds" %
                              (kind, flags))
        if c.ask(WRITE, 0, 512, flags, b"x" * 512)[0] == 0:
            raise Failure("a write with flags %#x succeeds" % flags)
    c.hang_up()


def try_writing(path):
    """what is not to be written"""
    c = Client(path)
    for off in (0, 512, 1 << 20, c.size - 512):
        for kind, payload in ((WRITE, b"x" * 512), (TRIM, b""), (ZEROES, b"")):
            for flags in (0, FUA):
                if c.ask(kind, off, 512, flags, payload)[0] == 0:
                    raise Failure("request %d succeeds on what is read-only" %
                                  kind)
    c.hang_up()


# --- Connections that end badly

def breaks():
    """what is sent in a handshake before hanging up"""
    rubbish = random.Random(SEED).randbytes(4096)
    yield b""
    yield struct.pack(">I", 0xffffffff)
    yield struct.pack(">I", 3) + rubbish
    yield struct.pack(">I", 3) + option(OPT_GO, b"", MAX_U32)
    yield struct.pack(">I", 3) + option(OPT_EXPORT_NAME, b"", MAX_U32)
    yield struct.pack(">I", 3) + option(OPT_EXPORT_NAME, b"x" * 4096)
    yield struct.pack(">I", 3) + option(OPT_GO, struct.pack(">I", MAX_U32))
    yield struct.pack(">I", 3) + option(0xffffffff, rubbish)
    for name in (b"x" * 4096, b"a\0b", b"../../etc/passwd", b"/etc/passwd",
                 b"\xff\xfe", b"json:{}"):
        for number in (OPT_INFO, OPT_GO, OPT_EXPORT_NAME):
            data = name if number == OPT_EXPORT_NAME else go(name)
            yield struct.pack(">I", 3) + option(number, data)


def try_breaks(path):
    for data in breaks():
        s = connect(path)
        receive(s, 18)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()


def try_hanging_up(path):
    """in the middle of each kind of request"""
    for kind, length, sent in ((WRITE, 65536, 0), (WRITE, 65536, 30000),
                               (WRITE, 1 << 20, (1 << 20) - 1),
                               (WRITE, MAX_U32, 1000), (READ, 1 << 20, 0),
                               (ZEROES, 1 << 20, 0), (TRIM, 1 << 20, 0)):
        c = Client(path)
        c.send(kind, c.size if kind in (ZEROES, TRIM) else 0, length, 0,
               b"y" * sent)
        c.hang_up()
    for head in (b"", b"\x25", struct.pack(">I", 0xdeadbeef) + b"z" * 24):
        c = Client(path)
        c.s.sendall(head)
        c.hang_up()


# --- Random requests, good and bad

def some_offset(r, size):
    return r.choice((r.randrange(size), r.randrange(size) & ~511, size - 1,
                     size, size + r.randrange(1 << 20), r.randrange(1 << 64),
                     0))


def some_length(r):
    return r.choice((0, 1, 511, 512, 513, 4096, 65536, 65537,
                     r.randrange(1 << 18), r.randrange(1 << 32)))


def change(model, kind, off, length, payload):
    """TRIM may leave what was there, so it is not among them"""
    if kind == WRITE:
        os.pwrite(model, payload, off)
    elif kind == ZEROES:
        os.pwrite(model, bytes(length), off)


def one_of_a_storm(c, r, model):
    kind = r.choice((READ, WRITE, WRITE, ZEROES, CACHE, FLUSH))
    off, length = some_offset(r, c.size), some_length(r)
    if kind == FLUSH:
        off = length = 0
    elif kind == WRITE:
        length %= 1 << 18
    elif kind == ZEROES and off + length <= c.size:
        length %= 1 << 20
    flags = r.choice((0, FUA)) if kind in (WRITE, ZEROES) else 0
    flags |= r.choice((0, NO_HOLE)) if kind == ZEROES else 0
    payload = r.randbytes(length) if kind == WRITE else b""
    good = kind == FLUSH or (length > 0 and off + length <= c.size)
    error, data = c.ask(kind, off, length, flags, payload)
    if (error == 0) != good:
        raise Failure("request %d for %d at %d: error %d" %
                      (kind, length, off, error))
    if kind == READ and good and data != os.pread(model, length, off):
        raise Failure("wrong bytes in %d at %d" % (length, off))
    if good:
        change(model, kind, off, length, payload)


def try_storm(path, model):
    r = random.Random(SEED)
    c = Client(path)
    for _ in range(400):
        one_of_a_storm(c, r, model)
    c.hang_up()


def try_fua(path, model):
    """many that all want to be durable at once, unanswered meanwhile"""
    c = Client(path)
    first = c.cookie + 1
    for i in range(64):
        c.send(WRITE, i * 513, 512, FUA, bytes([i + 1]) * 512)
        os.pwrite(model, bytes([i + 1]) * 512, i * 513)
    answers = set()
    for _ in range(64):
        magic, error, cookie = struct.unpack(">IIQ", receive(c.s, 16))
        if magic != 0x67446698 or error != 0:
            raise Failure("a durable write fails: %d" % error)
        answers.add(cookie)
    if answers != set(range(first, first + 64)):
        raise Failure("not each durable write is answered")
    c.hang_up()


# --- The longest requests

def fill(c, off, byte):
    if c.ask(WRITE, off, 65536, 0, byte * 65536)[0] != 0:
        raise Failure("a write at %d fails" % off)


def expect(c, off, want):
    error, data = c.ask(READ, off, len(want))
    if error != 0 or data != want:
        raise Failure("at %d: error %d, %r and not %r" %
                      (off, error, data, want))


def try_long(path):
    """zeros and trims of 4 GiB - 1, from an odd place to another"""
    c = Client(path)
    end = 1 + MAX_U32
    for flags in (0, NO_HOLE, FUA):
        fill(c, 0, b"a")
        fill(c, 1 << 31, b"b")
        fill(c, end - 32768, b"c")
        error, _ = c.ask(ZEROES, 1, MAX_U32, flags)
        if error != 0:
            raise Failure("4 GiB - 1 of zeros, flags %d: error %d" %
                          (flags, error))
        expect(c, 0, b"a" + bytes(4095))
        expect(c, 1 << 31, bytes(4096))
        expect(c, end - 512, bytes(512) + b"c" * 512)
    fill(c, 0, b"d")
    fill(c, end - 32768, b"e")
    error, _ = c.ask(TRIM, 1, MAX_U32)
    if error != 0:
        raise Failure("a trim of 4 GiB - 1: error %d" % error)
    expect(c, 0, b"d")
    expect(c, end, b"e")
    for kind in (READ, CACHE):
        if c.ask(kind, 0, MAX_U32)[0] == 0 and kind == READ:
            raise Failure("4 GiB - 1 can be read in one request")
    if c.ask(FLUSH, 0, 0)[0] != 0:
        raise Failure("after all that, a flush fails")
    c.hang_up()


def check_bytes(path, model):
    c = Client(path)
    for off in range(0, c.size, 1 << 20):
        n = min(1 << 20, c.size - off)
        error, data = c.ask(READ, off, n)
        if error != 0 or data != os.pread(model, n, off):
            raise Failure("the disk is not what it must be, at %d" % off)
    c.hang_up()


def main():
    path, model = sys.argv[1], os.open(sys.argv[2], os.O_RDWR)
    first = Client(path)
    first.hang_up()
    if first.size > MAX_U32:
        try_long(path)
        return
    for attempt in (try_bad_ranges, try_bad_kinds, try_breaks):
        attempt(path)
        check_bytes(path, model)
    if first.flags & IS_READ_ONLY:
        try_writing(path)
        try_hanging_up(path)
        check_bytes(path, model)
        return
    for attempt in (try_storm, try_fua):
        attempt(path, model)
        check_bytes(path, model)
    # A write that is cut off may have been begun.
    try_hanging_up(path)
    c = Client(path)
    length = 1 << 20
    error, _ = c.ask(WRITE, 0, length, FUA, b"w" * length)
    if error != 0:
        raise Failure("after all that, a write fails: %d" % error)
    os.pwrite(model, b"w" * length, 0)
    c.hang_up()
    check_bytes(path, model)


try:
    main()
except (Failure, EOFError, OSError) as e:
    sys.exit("hostile-client.py: %s" % (e or repr(e)))
