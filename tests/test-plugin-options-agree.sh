#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The library's options, the plugin's help and its manual page agree.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires sh -c "command -v pod2text"

{
  echo '[file=]FILE'
  echo 'dir=DIR'
  echo 'export=NAME:FILE'
  nbdkit rawview --dump-plugin | sed -n 's/^rawview_option_//p'
} >"$tmp/library"
[ "$(wc -l <"$tmp/library")" -ge 10 ] || fail 'where are the options?'

# Each starts a line, and its explanation is indented.
nbdkit rawview --help >"$tmp/all"
sed -n '/^\[file=\]/,$ s/^\([^ ]*=[^ ]*\).*/\1/p' "$tmp/all" >"$tmp/help"
diff -u "$tmp/library" "$tmp/help" || fail '--help differs'

pod2text "$RAWVIEW_SRCDIR/nbdkit-plugin/nbdkit-rawview-plugin.pod" |
  sed -n '/^PARAMETERS/,/^WRITING/ s/^    \(\[*[a-z-]*=[^ ]*\)$/\1/p' \
  >"$tmp/page"
diff -u "$tmp/library" "$tmp/page" || fail 'the manual page differs'

! grep '^.\{80\}' "$tmp/all" || fail 'lines of the help are too long'
