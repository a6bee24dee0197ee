#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random requests have the same effect as through qemu-nbd, and nothing leaks.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires qemu-nbd --version
requires /usr/bin/python3 -c 'import nbd'

"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images"
"$RAWVIEW_SRCDIR/tests/writing/differential.py" --tmp "$tmp" "$tmp/images"
