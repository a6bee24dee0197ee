#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A server that is killed at any system call loses nothing that was flushed and
# invents nothing.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires qemu-img --version
requires strace --version
requires /usr/bin/python3 -c 'import nbd'

kill=$RAWVIEW_SRCDIR/tests/writing/kill.py
"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images"
"$kill" --tmp "$tmp" --kills 60 \
  --killer "$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so" "$tmp/images"
"$kill" --tmp "$tmp" --kills 10 "$tmp/images"
