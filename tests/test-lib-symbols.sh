#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The library exports what rawview.h declares, and nothing else.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires nm --version

# Declarations end in "name (...);" at the start of a line or after a type.
sed -n 's/^[a-z].*[ *]\(rawview_[a-z_]*\) (.*/\1/p' \
  "$RAWVIEW_SRCDIR/include/rawview.h" | grep -v typedef | sort >"$tmp/header"
sed -n 's/^ *\(rawview_[a-z_]*\);$/\1/p' \
  "$RAWVIEW_SRCDIR/lib/librawview.syms" | sort >"$tmp/list"
nm -D --defined-only "$RAWVIEW_BUILDDIR/lib/.libs/librawview.so" |
  sed -n 's/.* T \([a-z_]*\).*/\1/p' | grep -v '^_' | sort >"$tmp/library"

diff "$tmp/header" "$tmp/list" || fail 'rawview.h and librawview.syms differ'
diff "$tmp/list" "$tmp/library" || fail 'librawview.syms and the library differ'
