# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recipe language: lines, numbers, loops, and what is expected.

README.md beside this file describes the language.
"""

import gzip
import os
import re
import shlex

from model import Blob, Ranges, RecipeError, encode, make_parents, \
    pattern

SUFFIX = {"": 1, "s": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30,
          "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}
TERM = re.compile(r"(0x[0-9a-fA-F]+|[0-9]+)([skmgtpe]?)$|([@$])([^+*/|-]+)$")


def number(text, blob=None):
    """A number: 64k, 3s, 0x10, 1m+512, @place, $field; left to right."""
    total = None
    op = "+"
    for token in re.split(r"([+*/|-])", text):
        if token in ("+", "-", "*", "/", "|") and total is not None:
            op = token
            continue
        m = TERM.match(token)
        if not m:
            raise RecipeError(f"not a number: {text}")
        if m[1]:
            base = 16 if m[1][:2] == "0x" else 10
            value = int(m[1], base) * SUFFIX[m[2]]
        elif blob is None:
            raise RecipeError(f"no places here: {text}")
        elif m[3] == "@":
            value = blob.place(m[4])
        else:
            value = blob.get(m[4])
        if total is None:
            total = value
        elif op == "+":
            total += value
        elif op == "-":
            total -= value
        elif op == "*":
            total *= value
        elif op == "/":
            total //= value
        else:
            total |= value
    return total


def unescape(text):
    """\\t \\r \\n \\\\ \\xNN in literal text; everything else is UTF-8."""
    out = bytearray()
    at = 0
    for m in re.finditer(r"\\(x[0-9a-fA-F]{2}|.)", text):
        out += text[at:m.start()].encode()
        code = m[1]
        if code[0] == "x":
            out.append(int(code[1:], 16))
        elif code in "trn\\":
            out += {"t": b"\t", "r": b"\r", "n": b"\n", "\\": b"\\"}[code]
        else:
            raise RecipeError(f"unknown escape \\{code}")
        at = m.end()
    return bytes(out + text[at:].encode())


class Statement:
    """One line: a word, plain arguments and key=value arguments."""

    def __init__(self, line, lineno):
        self.lineno = lineno
        self.literal = None
        if line.lstrip().startswith("|"):
            self.word = "|"
            self.literal = line.lstrip()[1:].removeprefix(" ")
            return
        words = shlex.split(line, comments=True)
        self.word = words[0] if words else ""
        self.words = words[1:]
        self.args = []
        self.keys = {}
        for w in self.words:
            m = re.match(r"([a-z0-9-]+)=(.*)$", w, re.S)
            if m:
                self.keys[m[1]] = m[2]
            else:
                self.args.append(w)

    def num(self, n, default=None):
        if n >= len(self.args):
            if default is None:
                raise RecipeError(f"{self.word}: too few arguments")
            return default
        return number(self.args[n])

    def key(self, name, default=None):
        return number(self.keys[name]) if name in self.keys else default


def expand(lines):
    """for I FIRST LAST … end, with {I}, {I+1}, {I-1} and {I:03}"""
    out = []
    it = iter(lines)
    for lineno, line in it:
        words = line.split()
        if not words or words[0] != "for":
            out.append((lineno, line))
            continue
        var, first, last = words[1], int(words[2]), int(words[3])
        body = []
        for item in it:
            if item[1].strip() == "end":
                break
            body.append(item)
        for i in range(first, last + 1):
            def value(m, i=i):
                return format(i + int(m[1] or 0), m[2] or "")
            use = re.compile(r"\{%s([+-][0-9]+)?(?::([0-9]+))?\}" % var)
            out += [(n, use.sub(value, text)) for n, text in body]
    return out


class Builder:
    """A file of the recipe.  Kinds are subclasses; statements do_WORD.

    After build(): blob holds the bytes.  Images also have `layer` (what this
    file says by itself) and `view` (what a guest sees, parents included).
    """

    format = None
    sectors_only = True

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.blob = None
        self.layer = None
        self.view = None
        self.pokes = []
        self.snapshots = {}

    def statement(self, st):
        method = getattr(self, "do_" + st.word.replace("-", "_"), None)
        if st.word == "|":
            method = self.do_literal
        if method is None:
            raise RecipeError(f"{type(self).__name__} has no '{st.word}'")
        method(st)

    def do_literal(self, st):
        raise RecipeError("no literal text here")

    def guest_bytes(self, st, off, length):
        """What a data statement puts there: a pattern or a whole file."""
        if "from" in st.keys:
            return self.world.get(st.keys["from"]).blob.read(0, length)
        return pattern(st.keys.get("pattern", "text"), st.key("seed", 1),
                       off, length)

    # Changes made to the finished file, in the order written.
    def poke(self, st):
        self.pokes.append(st)

    do_set = do_patch = do_truncate = do_append = poke

    def finish(self):
        self.build()
        for st in self.pokes:
            try:
                self.apply(st)
            except RecipeError as e:
                raise RecipeError(f"line {st.lineno}: {e}") from None

    def apply(self, st):
        blob = self.blob
        if st.word == "set":
            blob.set(st.words[0], number(st.words[1], blob))
        elif st.word == "truncate":
            blob.truncate(number(st.words[0], blob))
        elif st.word == "append":
            n = number(st.words[0], blob)
            fill = int(st.words[1], 0) if len(st.words) > 1 else 0
            blob.write(blob.size, bytes([fill]) * n)
        else:
            off, fmt, value = number(st.words[0], blob), *st.words[1:3]
            if fmt == "hex":
                data = bytes.fromhex(value)
            elif fmt == "text":
                data = unescape(value)
            else:
                data = encode(fmt, number(value, blob))
            blob.write(off, data)


class Bytes(Builder):
    """A file of literal text or patterns that is not an image."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.blob = Blob()

    def do_literal(self, st):
        self.blob.write(self.blob.size, unescape(st.literal) + b"\n")

    def do_hex(self, st):
        self.blob.write(self.blob.size, bytes.fromhex("".join(st.words)))

    def do_size(self, st):
        self.blob.truncate(st.num(0))

    def build(self):
        pass


class Gzip(Builder):
    """An earlier file, compressed."""

    def do_of(self, st):
        data = self.world.get(st.args[0]).blob.bytes()
        self.blob = Blob()
        self.blob.write(0, gzip.compress(data, mtime=0))

    def build(self):
        pass


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
        self.error = None
        self.warn = None
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
        elif what == "refused":
            self.error = {"kind": rest[0], "match": rest[1]}
            re.compile(rest[1])
        elif what == "warn":
            self.warn = rest[0]
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
        used = guest.data.copy()
        for a, b in self.eio.pairs:
            used.add(a, b - a)
        meta["zero"] = [list(r) for r in used.missing(guest.size)]
        if self.warn:
            meta["warn"] = self.warn
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
            if which != "check" and builder.format == "ova":
                value = False
            meta[which] = value
            if which in self.why:
                meta[which + "_why"] = self.why[which]
