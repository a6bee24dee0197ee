# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recipe language: lines, numbers, loops, and what is expected.

README.md beside this file describes the language.
"""

import re
import shlex

from model import RecipeError, encode, pattern

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
