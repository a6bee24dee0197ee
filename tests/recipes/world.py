# SPDX-License-Identifier: LGPL-2.1-or-later
"""All files of one recipe, and what a reader must make of them."""

import os
import re

from model import Ranges, RecipeError, make_parents
from recipe import Statement, expand, number


class World:
    """All files of one recipe, and what is expected of them."""

    def __init__(self, name, kinds):
        self.name = name
        self.kind = name.split("-")[0]
        self.kinds = kinds
        self.files = {}
        self.current = None
        self.last = None
        self.opened = None
        self.inner = set()
        self.special = []
        self.options = []
        self.eio = Ranges()
        self.maybe = Ranges()
        self.lost = None
        self.error = None
        self.warn = None
        self.read_only = None
        self.check_full = None
        self.unwritable = Ranges()
        self.oracles = {"qemu": True, "libyal": True, "check": True}
        self.why = {}
        if self.kind not in ("read", "bad", "refused"):
            raise RecipeError("a recipe is named read-*, bad-* or refused-*")

    def add(self, name, builder):
        if name in self.files:
            raise RecipeError(f"file {name} twice")
        self.files[name] = builder

    def get(self, name):
        """An earlier file, finished."""
        builder = self.files.get(name)
        if builder is None or builder is self.current:
            raise RecipeError(f"no earlier file {name}")
        return builder

    def end_file(self):
        if self.current:
            self.current.finish()
            self.current = None

    def statement(self, st):
        word = st.word
        if word == "file":
            self.end_file()
            name, kind = st.args
            if kind not in self.kinds:
                raise RecipeError(f"unknown kind {kind}")
            builder = self.kinds[kind](self, name)
            self.add(name, builder)
            self.current = builder
            self.last = name
        elif word in ("symlink", "fifo", "dir"):
            self.special.append((word, *st.words))
        elif word == "hide":
            self.inner.add(st.words[0])
        elif word == "open":
            self.opened = st.words[0]
        elif word == "option":
            self.options.append(st.words[0])
        elif word == "expect":
            self.expect(st)
        elif word in self.oracles:
            self.oracle(st)
        elif self.current is None:
            raise RecipeError(f"'{word}' outside a file")
        else:
            self.current.statement(st)

    def expect(self, st):
        what, *rest = st.words
        if what == "eio":
            self.eio.add(number(rest[0]), number(rest[1]))
        elif what == "maybe":
            self.maybe.add(number(rest[0]), number(rest[1]))
        elif what == "lost":
            self.lost = self.lost or Ranges()
            if rest[0] != "none":
                self.lost.add(number(rest[0]), number(rest[1]))
        elif what == "refused":
            self.error = {"kind": rest[0], "match": rest[1]}
            re.compile(rest[1])
        elif what == "warn":
            self.warn = rest[0]
        elif what == "read-only":
            self.read_only = rest[0]
        elif what == "unwritable":
            self.unwritable.add(number(rest[0]), number(rest[1]))
        elif what == "check-full":
            self.check_full = rest[0]
        else:
            raise RecipeError(f"expect {what}?")

    def oracle(self, st):
        if st.words[0] == "no":
            self.oracles[st.word] = False
            self.why[st.word] = st.words[1]
        else:
            self.oracles[st.word] = {k: v for k, v in st.keys.items()}

    def read(self, path):
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for lineno, line in expand(list(enumerate(lines, 1))):
            try:
                st = Statement(line, lineno)
                if st.word:
                    self.statement(st)
            except (RecipeError, ValueError, KeyError, IndexError,
                    TypeError) as e:
                kind = "" if isinstance(e, RecipeError) else \
                    type(e).__name__ + ": "
                raise RecipeError(f"{path}:{lineno}: {kind}{e}") from e
        self.end_file()

    def target(self):
        return self.opened or self.last

    def write(self, outdir):
        os.makedirs(outdir, exist_ok=True)
        for word, *args in self.special:
            self.write_special(outdir, word, args)
        for name, builder in self.files.items():
            if name not in self.inner:
                path = os.path.join(outdir, name)
                make_parents(path)
                builder.blob.dump(path)
        return self.meta(outdir)

    def write_special(self, outdir, word, args):
        path = os.path.join(outdir, args[0])
        make_parents(path)
        if os.path.lexists(path) and word != "dir":
            os.unlink(path)
        if word == "symlink":
            os.symlink(args[1], path)
        elif word == "fifo":
            os.mkfifo(path)
        else:
            os.makedirs(path, exist_ok=True)

    def view(self, builder):
        """What must be read: the guest's bytes, a snapshot's, a disk's."""
        for option in self.options:
            key, _, value = option.partition("=")
            if key == "snapshot":
                return builder.find_snapshot(value)
            if key == "disk":
                return builder.find_disk(value)
        return builder.view

    def meta(self, outdir):
        image = self.target()
        builder = self.files.get(image)
        meta = {"name": self.name, "image": image,
                "format": builder.format if builder else None,
                "options": self.options, "kind": self.kind}
        if self.kind == "refused":
            if not self.error:
                raise RecipeError("refused-* needs 'expect refused'")
            meta |= {"error": self.error, "qemu": False, "libyal": False,
                     "check": False}
            return meta
        if self.error:
            raise RecipeError("'expect refused' needs the name refused-*")
        if (self.kind == "bad") != bool(self.eio.pairs):
            raise RecipeError("'expect eio' and the name bad-* go together")
        guest = self.view(builder)
        guest.bytes.dump(os.path.join(outdir, "expected.raw"))
        meta["size"] = guest.size
        meta["eio"] = [[a, b - a] for a, b in self.eio.pairs]
        if self.maybe.pairs:
            meta["maybe"] = [[a, b - a] for a, b in self.maybe.pairs]
        if self.unwritable.pairs:
            meta["unwritable"] = [[a, b - a] for a, b in self.unwritable.pairs]
        lost = self.eio if self.lost is None else self.lost
        meta["lost"] = [[a, b - a] for a, b in lost.pairs]
        used = guest.data.copy()
        for a, b in self.eio.pairs:
            used.add(a, b - a)
        meta["zero"] = [list(r) for r in used.missing(guest.size)]
        for key, regex in (("warn", self.warn), ("read-only", self.read_only),
                           ("check-full", self.check_full)):
            if regex:
                re.compile(regex)
                meta[key] = regex
        disks = getattr(builder, "disks", None)
        if disks:
            meta["disks"] = self.write_disks(outdir, disks)
        self.meta_oracles(meta, builder)
        return meta

    def write_disks(self, outdir, disks):
        out = []
        for n, (member, guest) in enumerate(disks, 1):
            name = f"expected-{n}.raw"
            guest.bytes.dump(os.path.join(outdir, name))
            out.append({"name": member, "size": guest.size,
                        "expected": name})
        return out

    def meta_oracles(self, meta, builder):
        for which, value in self.oracles.items():
            if self.kind == "bad":
                value = False
            if which == "check" and builder.format != "qcow2":
                value = False
            if which == "libyal" and builder.format not in ("qcow2", "vmdk"):
                value = False
            meta[which] = value
            if which in self.why:
                meta[which + "_why"] = self.why[which]
