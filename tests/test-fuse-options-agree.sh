#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The options of --help and of the man page are the same.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
requires_fuse

pod=$RAWVIEW_SRCDIR/fusefs/rawviewfs.pod

# Both as "-f" or "--name" or "--name=ARG", sorted.
rawviewfs --help |
  sed -nE 's/^  +(-[a-zA-Z-].*)/\1/p' |
  sed -E 's/^(-[a-zA-Z]), /\1\n/; s/^(-[^\n ]+( OPTION[^ ]*)?) .*/\1/' |
  sed -E 's/^(--?[^ =]+(=[^ ]*)?( OPTION[^ ]*)?).*/\1/' |
  LC_ALL=C sort >"$tmp/help"
sed -nE 's/^=item (B<-.*)/\1/p' "$pod" |
  sed -E 's/, /\n/g; s/B<([^>]*)>/\1/g' |
  LC_ALL=C sort >"$tmp/pod"
[ "$(wc -l <"$tmp/help")" -gt 15 ] || fail "--help was not understood"
diff -u "$tmp/help" "$tmp/pod" || fail '--help and the man page differ'

rawviewfs --version >"$tmp/version"
line_count "$tmp/version" 1
matches "$tmp/version" '^rawviewfs [0-9.]+ \(librawview [0-9.]+, libfuse '
