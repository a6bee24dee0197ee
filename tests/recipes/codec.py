# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed streams: deflate through zlib, zstd through the zstd command.

Uncompressed ("raw block") zstd frames are written by hand, so that hostile
frame headers can be written too.
"""

import subprocess
import zlib

from model import RecipeError


def deflate(data, method="normal", window=12, header=False, level=6):
    """One stream.  header=True is zlib's format, otherwise raw deflate."""
    if method == "stored":
        level = 0
    elif method == "fixed":
        return _compress(data, window, header, level, zlib.Z_FIXED)
    elif method == "dictionary":
        c = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_DEFAULT_STRATEGY,
                             b"a dictionary nobody has")
        return c.compress(data) + c.flush()
    elif method != "normal":
        raise RecipeError(f"unknown deflate method {method}")
    return _compress(data, window, header, level, zlib.Z_DEFAULT_STRATEGY)


def _compress(data, window, header, level, strategy):
    c = zlib.compressobj(level, zlib.DEFLATED, window if header else -window,
                         8, strategy)
    return c.compress(data) + c.flush()


MAGIC = bytes.fromhex("28b52ffd")


def zstd(data, method="normal", frames=1, content_size=True):
    """frames of equal length, one after the other"""
    if method == "normal":
        one = zstd_frame
    elif method == "raw":
        one = raw_frame
    elif method == "window31":
        return raw_frame(data, window_log=31)
    elif method == "huge-content":
        return raw_frame(data, content=1 << 63)
    elif method == "skippable":
        return b"\x50\x2a\x4d\x18" + bytes(4)
    else:
        raise RecipeError(f"unknown zstd method {method}")
    step = -(-len(data) // frames)
    return b"".join(one(data[i:i + step], content_size)
                    for i in range(0, len(data), step))


def zstd_frame(data, content_size):
    args = ["zstd", "-q", "-c", "-3", "--no-check", "--single-thread"]
    if content_size:
        args.append(f"--stream-size={len(data)}")
    return subprocess.run(args, input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def raw_frame(data, content_size=True, window_log=17, content=None):
    """A frame of uncompressed blocks (RFC 8878, 3.1.1)."""
    if content is None:
        content = len(data)
    descriptor = 3 << 6 if content_size else 0
    out = MAGIC + bytes([descriptor, (window_log - 10) << 3])
    if content_size:
        out += content.to_bytes(8, "little")
    step = 1 << min(window_log, 17)
    blocks = [data[i:i + step] for i in range(0, len(data), step)] or [b""]
    for n, block in enumerate(blocks):
        head = len(block) << 3 | (n == len(blocks) - 1)
        out += head.to_bytes(3, "little") + block
    return out
