#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No image of the recipes makes rawview take time or memory, open what it must
# not, say more or less than one line, or write beside what is written.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'

"$RAWVIEW_SRCDIR/tests/run-hostile" >"$tmp/said.log" ||
  fail "$(cat "$tmp/said.log")"
matches "$tmp/said.log" '^[0-9]+ images, 0 failed'
