#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill.py [--server rawview|qemu-nbd] [--kills N] [--seed N] [--kind K] IMAGES

Kills a server at its n-th system call that changes a file, while a guest
writes, and looks at what is left: every sector must have the value of the last
flush or one that a later request put there.  IMAGES is made by make-images.
The call is counted by --killer LIBRARY, or in each thread by strace.
"""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import guest

KINDS = ("qcow2-compressed-little", "qcow2-compressed", "qcow2-compressed-64k",
         "qcow2-plain", "qcow2-clusters-4k", "qcow2-snapshots",
         "qcow2-extended-l2", "overlay-qcow2", "overlay-raw", "vmdk-sparse",
         "vmdk-sparse-64k", "vmdk-delta")

CALLS = "pwrite64,pwritev,pwritev2,fallocate,fdatasync,ftruncate"

REQUESTS = 150


class Outcome:
    def __init__(self):
        self.kills = 0
        self.ended = 0          # the guest was done before the n-th call
        self.third_values = 0   # kills after which some sector has one
        self.sectors = 0        # and how many sectors
        self.unreadable = 0
        self.corruptions = 0    # by qemu-img check


def files_of(folder):
    with open(os.path.join(folder, "files"), encoding="utf-8") as f:
        return f.read().split()


def unit_of(image, fmt):
    r = guest.run("qemu-img", "info", "-U", "--output=json", "-f", fmt, image)
    return json.loads(r.stdout).get("cluster-size", 65536)


def start(args, command, tmp, n, seed):
    env = dict(os.environ)
    if args.killer:
        env.update(LD_PRELOAD=os.path.abspath(args.killer), KILL_AT=str(n))
        if seed % 3 == 0:
            env["KILL_TORN"] = "1"
    else:
        command = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
                   "trace=" + CALLS, "-e",
                   "inject=%s:signal=SIGKILL:when=%d" % (CALLS, n)] + command
    with open(os.path.join(tmp, "log"), "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log, env=env)


def stop(process, killed):
    if not killed:
        process.terminate()
    process.wait(60)


def serve_and_kill(args, image, fmt, tmp, n, seed, small, raw):
    """The guest, with its model, and whether the server was killed."""
    sock = os.path.join(tmp, "sock")
    command = guest.server_command(args.server, sock, image, fmt)
    process = start(args, command, tmp, n, seed)
    g = guest.Guest(None, raw, seed, unit_of(image, fmt))
    killed = False
    ask = g.small_request if small else g.request
    try:
        g.h = guest.connect(sock, process)
        killed = g.h is None
        for _ in range(0 if killed else REQUESTS):
            ask()
    except guest.nbd.Error:
        killed = True
    g.h = None  # hangs up
    stop(process, killed)
    if os.path.exists(sock):
        os.unlink(sock)
    return g, killed


def judge(o, g, image, fmt, tmp, where):
    """Whether all is well; o counts."""
    good = True
    readers = [guest.read_by_rawview(image, os.path.join(tmp, "a"))]
    if fmt == "qcow2":
        readers.append(guest.read_by_qemu(image, fmt, os.path.join(tmp, "b")))
        check = guest.run("qemu-img", "check", "-f", fmt, image)
        if check.returncode not in (0, 3):
            o.corruptions += 1
            good = False
            print("# %s: qemu-img check: %s" % (where, check.stdout.strip()))
    wrong = set()
    for raw, why in readers:
        if raw is None:
            o.unreadable += 1
            good = False
            print("# %s: unreadable: %s" % (where, why))
            break
        wrong.update(g.model.wrong(raw))
        got = raw
    if wrong:
        s = min(wrong)
        o.third_values += 1
        o.sectors += len(wrong)
        good = False
        print("# %s: %d sectors with a third value; sector %d has %s" %
              (where, len(wrong), s,
               guest.describe(got[s * guest.SECTOR:(s + 1) * guest.SECTOR])))
    return good


def one_kill(o, args, kind, seed):
    folder = os.path.join(args.images, kind)
    rng = random.Random(seed)
    small = rng.randrange(2)
    n = rng.choice([rng.randrange(1, 12), rng.randrange(1, 60),
                    rng.randrange(1, 24 if small else 200)])
    with open(os.path.join(folder, "expected.raw"), "rb") as f:
        raw = f.read()
    with tempfile.TemporaryDirectory(dir=args.tmp) as tmp:
        names = files_of(folder)
        for name in names:
            shutil.copy(os.path.join(folder, name), tmp)
        image = os.path.join(tmp, names[0])
        fmt = os.path.splitext(image)[1][1:]
        g, killed = serve_and_kill(args, image, fmt, tmp, n, seed, small,
                                   raw)
        if not killed:
            o.ended += 1
        o.kills += killed
        return judge(o, g, image, fmt, tmp,
                     "%s: --kind %s --seed %d (call %d, request %d)" %
                     (args.server, kind, seed, n, g.number))


def table(server, outcomes):
    print("| %s | kills | with third values | sectors | unreadable | corrupt |"
          % server)
    print("|---|---|---|---|---|---|")
    total = Outcome()
    for kind, o in outcomes.items():
        print("| %s | %d | %d | %d | %d | %d |" %
              (kind, o.kills, o.third_values, o.sectors, o.unreadable,
               o.corruptions))
        for key, value in vars(o).items():
            setattr(total, key, getattr(total, key) + value)
    print("| all | %d | %d | %d | %d | %d |" %
          (total.kills, total.third_values, total.sectors, total.unreadable,
           total.corruptions))
    return total


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--server", default="rawview")
    p.add_argument("--kills", type=int, default=55)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--kind", action="append")
    p.add_argument("--tmp", default="/dev/shm")
    p.add_argument("--killer")
    p.add_argument("images")
    args = p.parse_args()
    kinds = args.kind or KINDS
    outcomes = collections.OrderedDict((k, Outcome()) for k in kinds)
    seed = args.seed
    while sum(o.kills for o in outcomes.values()) < args.kills:
        if seed - args.seed > 4 * args.kills:
            sys.exit("kill.py: the server outlives too many runs")
        kind = kinds[seed % len(kinds)]
        one_kill(outcomes[kind], args, kind, seed)
        seed += 1
    total = table(args.server, outcomes)
    bad = total.third_values + total.unreadable + total.corruptions
    sys.exit(1 if bad and args.server == "rawview" else 0)


if __name__ == "__main__":
    main()
