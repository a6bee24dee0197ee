#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The build's own nbdkit replaces the word rawview where it is the plugin, and
# nothing else, before it calls the nbdkit behind itself.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
wrapper=$RAWVIEW_BUILDDIR/nbdkit-plugin/bin
requires test -x "$wrapper/nbdkit"

mkdir "$tmp/bin"
cat >"$tmp/bin/nbdkit" <<'SH'
#!/bin/sh
printf '<%s>' "$@"
SH
chmod +x "$tmp/bin/nbdkit"
plugin=$RAWVIEW_BUILDDIR/nbdkit-plugin/.libs/nbdkit-rawview-plugin.so

# check EXPECTED ARG…: PLUGIN stands for the plugin's path.
check ()
{
  local expected=${1//PLUGIN/$plugin} said

  shift
  said=$(PATH=$wrapper:$tmp/bin:$PATH nbdkit "$@")
  [ "$said" = "$expected" ] || fail "$* became $said"
}

check '<PLUGIN>' rawview
check '<-f><PLUGIN><a b><rawview><>' -f rawview 'a b' rawview ''
check '<-U><rawview><PLUGIN>' -U rawview rawview
check '<-fvU><rawview><PLUGIN>' -fvU rawview rawview
check '<-Urawview><PLUGIN><x>' -Urawview rawview x
check '<--filter><rawview><file><rawview>' --filter rawview file rawview
check '<--filter=rawview><--><PLUGIN>' --filter=rawview -- rawview
check '<PLUGIN><x><--run><rawview>' rawview x --run rawview
check '<--run><rawview "$uri"><PLUGIN>' --run 'rawview "$uri"' rawview
check '<-rv><./rawview>' -rv ./rawview
check '<--dump-config>' --dump-config
