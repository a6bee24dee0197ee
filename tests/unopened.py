#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""unopened.py FILE COMMAND [ARG…]: runs the command, and fails with status 99
if anybody opened the file meanwhile.  Otherwise the status is the command's."""

import ctypes
import os
import subprocess
import sys

IN_OPEN = 0x20

libc = ctypes.CDLL(None, use_errno=True)


def watch(path):
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd == -1 or libc.inotify_add_watch(fd, os.fsencode(path), IN_OPEN) == -1:
        raise OSError(ctypes.get_errno(), "inotify", path)
    return fd


def was_opened(fd):
    try:
        return len(os.read(fd, 4096)) > 0
    except BlockingIOError:
        return False


def main():
    path, *command = sys.argv[1:]
    fd = watch(path)
    with open(path, "rb"):
        pass
    if not was_opened(fd):
        sys.exit("unopened.py: the kernel does not tell of opens")
    status = subprocess.run(command, check=False).returncode
    if was_opened(fd):
        print("%s was opened by: %s" % (path, " ".join(command)),
              file=sys.stderr)
        status = 99
    # As a shell says it.
    sys.exit(status if status >= 0 else 128 - status)


main()
