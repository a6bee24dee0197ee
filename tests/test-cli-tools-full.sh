#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A cache on a full disk: said so, what was there stays and the space is given
# back.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_guestcheck
requires python3 --version
small_filesystem "$tmp/small" 1M
cd "$tmp"

make_tools web
truncate -s 2M web/virtio-win.iso
sum_tools web
start_tools_server "$tmp/web" "$tmp/http"
arguments=("--tools-cache=$tmp/small/cache" --tools-sha256=web/SHA256SUMS
  "--tools-url=http://127.0.0.1:$port")

free () { df --output=avail "$tmp/small" | tail -n 1; }

tools 1 "${arguments[@]}" --virt-tools=web
matches err 'No space left on device'
no_leftovers small/cache
[ "$(free)" -gt 900 ] || fail 'the space is not given back'

# What does fit is kept.
tools 0 "${arguments[@]}" --virtio-win=web/virtio-win.iso
cmp small/cache/pvvxsvc.exe web/pvvxsvc.exe
