#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --dump-plugin, --version and --help are there, and nothing is opened for them.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit

nbdkit rawview --dump-plugin >"$tmp/dump"
matches "$tmp/dump" '^name=rawview$'
matches "$tmp/dump" '^api_version=2$'
matches "$tmp/dump" '^thread_model=parallel$'
matches "$tmp/dump" '^magic_config_key=file$'
matches "$tmp/dump" '^errno_is_preserved=0$'
matches "$tmp/dump" '^rawview_version=[0-9]+\.[0-9]+\.[0-9]+$'
matches "$tmp/dump" '^rawview_option_format=auto\|qcow2\|vmdk\|raw$'
! grep -v '^[a-z][a-zA-Z0-9_-]*=' "$tmp/dump" || fail 'this is not KEY=VALUE'

# With parameters too, whatever they name.
nbdkit rawview "$tmp/none.qcow2" cache=1M --dump-plugin >/dev/null
nbdkit rawview --version >"$tmp/version"
matches "$tmp/version" '^rawview [0-9]'
nbdkit rawview --help >"$tmp/help"
matches "$tmp/help" '^dir=DIR '
