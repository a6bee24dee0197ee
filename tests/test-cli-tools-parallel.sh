#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two that want the same fetch it once; one that was killed leaves nothing that
# the next one does not remove; a file is there whole or not at all.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
requires python3 --version
cd "$tmp"

make_tools web
cp web/SHA256SUMS pinned
start_tools_server "$tmp/web" "$tmp/http"
export RAWVIEW_TOOLS_URL=http://127.0.0.1:$port/held
arguments=(tools "--tools-cache=$tmp/cache" --tools-sha256=pinned)

# Killed while half of the first file is there.
"$guestcheck" "${arguments[@]}" >out 2>err &
pid=$!
cleanup_fn stop_process "$pid"
half_is_there () { [ "$(stat -c %s cache/.*.part 2>/dev/null)" = 32768 ]; }
wait_until 60 half_is_there || fail 'nothing arrives'
[ ! -e cache/virtio-win.iso ] || fail 'half a file has its name'
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
[ -n "$(find cache -name '*.part')" ] || fail 'the part is gone already'

# Two at a time: the second one waits, and then has nothing to do.
: >http.requests
"$guestcheck" "${arguments[@]}" >out1 2>err1 &
first=$!
cleanup_fn stop_process "$first"
wait_until 60 test -s http.requests || fail 'the first one does not begin'
"$guestcheck" "${arguments[@]}" >out2 2>err2 &
second=$!
cleanup_fn stop_process "$second"
wait_until 60 grep -q 'waiting for another process' err2 ||
  fail 'the second one does not wait'
touch web/go
wait "$first" || { cat err1; fail 'the first one failed'; }
wait "$second" || { cat err2; fail 'the second one failed'; }
cmp out1 out2
is_filled cache web
sort http.requests >asked
printf '/held/%s\n' pvvxsvc.exe rhsrvany.exe virtio-win.iso | diff - asked ||
  fail 'something was fetched twice'
