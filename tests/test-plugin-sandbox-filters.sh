#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit's usual filters work in the sandbox, also those that write files.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_sandbox
requires qemu-io --version

make_raw "$tmp/raw"
make_image vmdk "$tmp/raw" "$tmp/a.vmdk" -o subformat=streamOptimized

# with_filter MODE FILTER [ARG…]
with_filter ()
{
  local mode=$1 filter=$2

  shift 2
  nbdkit --filter="$filter" null --dump-plugin >/dev/null 2>&1 || return 0
  serve_with --filter="$filter" rawview sandbox="$mode" "$tmp/a.vmdk" "$@"
  reads_as "$uri" "$tmp/raw"
  if [ "$filter" = cow ]; then
    qemu-io -f raw -c 'write -P 3 5M 2M' -c flush -c 'read -P 3 5M 2M' "$uri" \
      >"$tmp/qemu-io.log"
    ! grep -i 'failed\|error' "$tmp/qemu-io.log" || fail 'cow cannot write'
  fi
  stop_server
}

for mode in auto on; do
  with_filter $mode cow
  with_filter $mode cache
  with_filter $mode delay rdelay=1ms
  with_filter $mode readahead
  with_filter $mode stats statsfile="$tmp/$mode.stats"
  matches "$tmp/$mode.stats" 'read'
  with_filter $mode log logfile="$tmp/$mode.log"
  matches "$tmp/$mode.log" 'Read'
done
