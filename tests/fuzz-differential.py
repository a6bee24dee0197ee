#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fuzz-differential.py [--images N] [--seed N] [--keep DIR] [RECIPE...]

Damages images that recipes describe, a number at a time, and lets rawview and
QEMU convert each: what both can read to the end must be equal.  Where QEMU is
known to read something else (recipes with "qemu no") nothing is compared.  Files are under 64 MiB, so is what is read.  The same seed
makes the same images.

Run in a build folder: ./run ../tests/fuzz-differential.py
"""

import argparse
import filecmp
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

SRC = os.environ["RAWVIEW_SRCDIR"]
MKIMAGE = os.path.join(SRC, "tests/recipes/mkimage")
DISK_MAX = 64 << 20
TIMEOUT = 60

def run(args):
    try:
        p = subprocess.run(args, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return None, "takes more than %d s" % TIMEOUT
    text = p.stdout if p.returncode == 0 else p.stderr
    return p.returncode, text.decode(errors="replace")


# --- Where to damage it

QCOW2_FIELDS = [(4, 4), (8, 8), (16, 4), (20, 4), (24, 8), (36, 4), (40, 8),
                (48, 8), (56, 4), (60, 4), (64, 8), (72, 8), (80, 8), (88, 8),
                (96, 4), (100, 4), (104, 1)]
VMDK_FIELDS = [(4, 4), (8, 4), (12, 8), (20, 8), (28, 8), (36, 8), (44, 4),
               (48, 8), (56, 8), (64, 8), (72, 1), (77, 2)]


def get(data, off, width, order):
    if off + width > len(data):
        return 0
    return int.from_bytes(data[off:off + width], order)


def choose_used(rng, data, off, count, width, order):
    """One of count entries, mostly one that is not 0."""
    used = [i for i in range(min(count, 4096))
            if get(data, off + i * width, width, order)]
    i = rng.choice(used) if used and rng.randrange(8) else \
        rng.randrange(max(1, min(count, 4096)))
    return off + i * width


def qcow2_field(rng, data):
    bits = min(max(get(data, 20, 4, "big"), 9), 21)
    step = 16 if get(data, 72, 8, "big") & 16 else 8
    if rng.randrange(4) == 0:
        return *rng.choice(QCOW2_FIELDS), "big", 1 << bits
    l1 = choose_used(rng, data, get(data, 40, 8, "big"),
                     get(data, 36, 4, "big"), 8, "big")
    if rng.randrange(6) == 0:
        return l1, 8, "big", 1 << bits
    table = get(data, l1, 8, "big") & 0xfffffffffffe00
    entry = choose_used(rng, data, table, (1 << bits) // step, step, "big")
    return entry + (8 if step == 16 and rng.randrange(2) else 0), 8, "big", \
        1 << bits


def vmdk_field(rng, data):
    if rng.randrange(4) == 0:
        return *rng.choice(VMDK_FIELDS), "little", 512
    where = get(data, 56, 8, "little")
    if where == (1 << 64) - 1:
        where = get(data, max(len(data) - 1024, 0) + 56, 8, "little")
    gd = choose_used(rng, data, where * 512, 16, 4, "little")
    if rng.randrange(6) == 0:
        return gd, 4, "little", 1
    table = get(data, gd, 4, "little") * 512
    return choose_used(rng, data, table, min(get(data, 44, 4, "little"), 512),
                       4, "little"), 4, "little", 1


def new_value(rng, old, width, unit, size):
    place = rng.randrange(size // unit + 2) * unit if unit > 1 else \
        rng.randrange(size // 512 + 2)
    value = rng.choice([0, old + 1, old - 1, old + unit, old - unit,
                        old ^ (1 << rng.randrange(8 * width)),
                        1 << rng.randrange(8 * width), place,
                        place | (old & 0xc000000000000000)])
    return value & ((1 << 8 * width) - 1)


def damage(rng, path):
    """Changes one to three numbers of the file; says which."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if data[:4] == b"QFI\xfb":
            off, width, order, unit = qcow2_field(rng, data)
        elif data[:4] == b"KDMV":
            off, width, order, unit = vmdk_field(rng, data)
        else:
            off, width, order, unit = rng.randrange(max(len(data), 1)), 1, \
                "little", 1
        if off + width > len(data):
            continue
        old = get(data, off, width, order)
        value = new_value(rng, old, width, unit, len(data))
        data[off:off + width] = value.to_bytes(width, order)
        told.append("%d bytes at %#x: %#x -> %#x" % (width, off, old, value))
    with open(path, "wb") as f:
        f.write(data)
    return told


# --- Reading it twice

def virtual_size(image, fmt, options):
    """The disk's size or None, and what is wrong or None."""
    status, text = run(["rawview", "info", "--json", image,
                        "--format=" + fmt] + options)
    if status is None or status < 0:
        return None, "rawview info: %s %s" % (status, text)
    if status != 0:
        return None, None
    info = json.loads(text)
    return (info[0] if isinstance(info, list) else info)["virtual-size"], None


def qemu_converts(meta, folder, image, out):
    how = meta["qemu"] if isinstance(meta["qemu"], dict) else {}
    args = ["qemu-img", "convert", "-O", "raw"]
    if "args" in how:
        args += how["args"].replace("@DIR@", folder).split()
    if "json" in how:
        image = "json:" + how["json"].replace("@DIR@", folder)
    else:
        args += ["-f", how.get("format", meta["format"])]
    return run(args + [image, out])


def compare(meta, folder):
    """None, or what is wrong; and whether both could read it."""
    image = os.path.join(folder, meta["image"])
    ours, theirs = (os.path.join(folder, n) for n in ("ours.raw", "theirs.raw"))
    options = ["--" + o.replace("@DIR@", folder)
               for o in meta.get("options", [])]
    size, problem = virtual_size(image, meta["format"], options)
    if size is None or size > DISK_MAX:
        return problem, False
    status, text = run(["rawview", "copy", image, ours,
                        "--format=" + meta["format"]] + options)
    if status is None or status < 0:
        return "rawview copy: %s %s" % (status, text[:300]), False
    if status != 0 or qemu_converts(meta, folder, image, theirs)[0] != 0:
        return None, False
    if os.path.getsize(theirs) > os.path.getsize(ours) > \
            os.path.getsize(theirs) - 512:
        os.truncate(theirs, os.path.getsize(ours))
    if filecmp.cmp(ours, theirs, shallow=False):
        return None, True
    return "rawview and QEMU read different bytes", True


# --- All of it

def make(recipe, tmp):
    folder = os.path.join(tmp, os.path.basename(recipe)[:-len(".recipe")])
    subprocess.run([MKIMAGE, recipe, folder], check=True)
    with open(os.path.join(folder, "meta.json"), encoding="utf-8") as f:
        meta = json.load(f)
    image = os.path.join(folder, meta["image"])
    usable = meta["qemu"] and meta["format"] in ("qcow2", "vmdk") and \
        0 < os.path.getsize(image) <= DISK_MAX and \
        meta.get("size", 0) <= DISK_MAX
    if usable:
        os.unlink(os.path.join(folder, "expected.raw"))
        return folder, meta
    shutil.rmtree(folder)
    return None


def one(number, seed, sources, keep):
    rng = random.Random("%d %d" % (seed, number))
    folder, meta = rng.choice(sources)
    work = folder + "-damaged"
    shutil.copytree(folder, work, symlinks=True)
    told = damage(rng, os.path.join(work, meta["image"]))
    problem, both = compare(meta, work)
    if problem:
        print("image %d (%s): %s" % (number, meta["name"], problem))
        for line in told:
            print("  " + line)
        if keep:
            shutil.copytree(work, os.path.join(keep, "image-%d" % number),
                            symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(work)
    return bool(problem), both


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--images", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", type=int, help="this image alone")
    p.add_argument("--keep", help="folder for what differs")
    p.add_argument("recipes", nargs="*")
    args = p.parse_args()
    recipes = args.recipes or sorted(
        glob.glob(os.path.join(SRC, "tests/recipes/read-*.recipe")))
    with tempfile.TemporaryDirectory(prefix="rawview-") as tmp:
        sources = [s for s in (make(r, tmp) for r in recipes) if s]
        numbers = [args.only] if args.only is not None else range(args.images)
        results = [one(n, args.seed, sources, args.keep) for n in numbers]
    differ = sum(r[0] for r in results)
    print("%d images of %d recipes: %d read by both, %d differ"
          % (len(results), len(sources), sum(r[1] for r in results), differ))
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
