#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""differential.py [--requests N] [--seed N] [--kind K] IMAGES

The same random requests go to rawview, to qemu-nbd with a copy of the image,
and to bytes in memory: all must read the same, now, after each has been stopped
and started again, and through other readers in the end; and no cluster leaks.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

import guest
import nbd

KINDS = ("qcow2-compressed", "qcow2-clusters-512", "qcow2-snapshots",
         "qcow2-extended-l2-backing", "overlay-qcow2", "qemu-vmdk",
         "vmdk-delta")

# QEMU destroys a VMDK whose grain tables are missing, and does not know all
# that these have.
NOT_FOR_QEMU = ("vmdk-no-grain-table", "vmdk-no-redundant", "vmdk-delta",
                "vmdk-split-odd", "vmdk-split", "vmdk-mixed")


def fail(why):
    sys.exit("differential.py: " + why)


class Server:
    def __init__(self, name, folder, tmp):
        self.name = name
        self.dir = os.path.join(tmp, name)
        os.mkdir(self.dir)
        with open(os.path.join(folder, "files"), encoding="utf-8") as f:
            names = f.read().split()
        for n in names:
            shutil.copy(os.path.join(folder, n), self.dir)
        self.image = os.path.join(self.dir, names[0])
        self.fmt = os.path.splitext(self.image)[1][1:]
        self.sock = os.path.join(self.dir, "sock")
        self.start()

    def start(self):
        command = guest.server_command(self.name, self.sock, self.image,
                                       self.fmt)
        if self.name == "rawview":
            command.remove("-t")
            command.remove("1")
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.h = guest.connect(self.sock, self.process)
        if self.h is None:
            with open(os.path.join(self.dir, "log"), encoding="utf-8") as f:
                fail("%s did not start: %s" % (self.name, f.read()))

    def stop(self):
        self.h.flush()
        self.h.shutdown()
        self.process.terminate()
        self.process.wait(60)
        if os.path.exists(self.sock):
            os.unlink(self.sock)


class Disk:
    """The bytes; where trimmed is 1, they may be zeros as well."""

    def __init__(self, raw):
        self.bytes = bytearray(raw)
        self.trimmed = bytearray(len(raw))

    def write(self, off, data):
        self.bytes[off:off + len(data)] = data
        self.trimmed[off:off + len(data)] = bytes(len(data))

    def trim(self, off, length):
        self.trimmed[off:off + length] = b"\1" * length

    def compare(self, got, off, what):
        want = self.bytes[off:off + len(got)]
        if got == want:
            return
        for i, byte in enumerate(got):
            if byte != want[i] and (byte or not self.trimmed[off + i]):
                fail("%s: byte %d is %02x, not %02x" %
                     (what, off + i, byte, want[i]))


def choose(rng, size):
    off = rng.randrange(size)
    length = min(rng.choice([1, 511, 512, 4096, 20000, 70000, 200000]),
                 size - off)
    if rng.randrange(10) < 7:
        off = off // 512 * 512
        length = max(512, length // 512 * 512)
    if rng.randrange(10) < 4:
        off = off // 65536 * 65536
    return off, min(length, size - off)


def request(rng, servers, disk, number):
    off, length = choose(rng, len(disk.bytes))
    what = rng.randrange(20)
    if what < 10:
        data = random.Random(number).randbytes(length)
        flags = nbd.CMD_FLAG_FUA if rng.randrange(8) == 0 else 0
        for s in servers:
            s.h.pwrite(data, off, flags)
        disk.write(off, data)
    elif what < 13:
        flags = nbd.CMD_FLAG_NO_HOLE if rng.randrange(2) else 0
        for s in servers:
            s.h.zero(length, off, flags)
        disk.write(off, bytes(length))
    elif what < 15:
        for s in servers:
            s.h.trim(length, off)
        disk.trim(off, length)
    elif what < 16:
        for s in servers:
            s.h.flush()
    else:
        for s in servers:
            disk.compare(s.h.pread(length, off), off, s.name)


def settle(servers, disk):
    """What each made of a trim stays: zeros are written over it."""
    off = 0
    while (start := disk.trimmed.find(1, off)) != -1:
        end = disk.trimmed.find(0, start)
        end = len(disk.trimmed) if end == -1 else end
        for s in servers:
            s.h.zero(end - start, start)
        disk.write(start, bytes(end - start))
        off = end


def restart(servers, disk):
    for s in servers:
        s.stop()
        s.start()
        disk.compare(s.h.pread(len(disk.bytes), 0), 0, s.name + ", restarted")


def judge(s, disk, tmp):
    readers = [guest.read_by_rawview(s.image, os.path.join(tmp, "a"))]
    if s.fmt == "qcow2":
        readers.append(guest.read_by_qemu(s.image, s.fmt,
                                          os.path.join(tmp, "b")))
    for raw, why in readers:
        if raw is None:
            fail("%s: cannot be read: %s" % (s.name, why))
        disk.compare(raw, 0, s.name + ", read again")
    if s.name == "rawview":
        for command in (("qemu-img", "check", "-f", s.fmt, s.image),
                        ("rawview", "check", s.image)):
            r = guest.run(*command)
            # A VMDK has no list of free grains: what was trimmed leaks.
            if r.returncode != 0 and (s.fmt != "vmdk" or r.returncode != 3):
                fail("%s: exit %d: %s%s" % (" ".join(command), r.returncode,
                                            r.stdout, r.stderr))


def one_kind(kind, args):
    folder = os.path.join(args.images, kind)
    with open(os.path.join(folder, "expected.raw"), "rb") as f:
        disk = Disk(f.read())
    names = ["rawview"] + ["qemu-nbd"] * (kind not in NOT_FOR_QEMU)
    with tempfile.TemporaryDirectory(dir=args.tmp) as tmp:
        servers = [Server(n, folder, tmp) for n in names]
        rng = random.Random(args.seed)
        for number in range(args.requests):
            request(rng, servers, disk, number)
            if number % (args.requests // 3 + 1) == 100:
                restart(servers, disk)
        settle(servers, disk)
        for s in servers:
            s.stop()
            judge(s, disk, tmp)
    print("ok - %s: %d requests to %s" %
          (kind, args.requests, " and ".join(names)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--requests", type=int, default=600)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--kind", action="append")
    p.add_argument("--tmp", default="/dev/shm")
    p.add_argument("images")
    args = p.parse_args()
    for kind in args.kind or KINDS:
        one_kind(kind, args)


if __name__ == "__main__":
    main()
