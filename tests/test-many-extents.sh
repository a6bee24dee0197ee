#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# An image with more extents than the soft limit on open files can be served by
# everybody, as the hard limit allows it; beyond that one sentence says so.

# shellcheck source=tests/functions.sh
. "$RAWVIEW_SRCDIR/tests/functions.sh"
# shellcheck source=tests/functions-fuse.sh
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"

requires qemu-img --version
requires_nbdkit

# 2 GiB each.
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse "$tmp/many.vmdk" 300G
[ "$(find "$tmp" -name 'many-s*.vmdk' | wc -l)" -eq 150 ] ||
  fail 'not the extents that were expected'

ulimit -S -n 100

rawview info "$tmp/many.vmdk" >/dev/null || fail 'rawview info'
# shellcheck disable=SC2016
nbdkit -U - rawview "$tmp/many.vmdk" --run 'nbdinfo --size "$uri"' >"$tmp/size" ||
  fail 'nbdkit rawview'
[ "$(cat "$tmp/size")" = $(( 300 << 30 )) ] || fail 'not the size'
if (requires_fuse) >/dev/null; then
  touch "$tmp/view"
  mount_view "$tmp/many.vmdk" "$tmp/view"
  [ "$(stat -c %s "$tmp/view")" = $(( 300 << 30 )) ] || fail 'rawviewfs'
  unmount_view "$tmp/view"
fi

ulimit -H -n 100
status=0
rawview info "$tmp/many.vmdk" >"$tmp/out" 2>"$tmp/err" || status=$?
[ "$status" -eq 8 ] || fail "status $status, not 8"
[ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "not one line: $(cat "$tmp/err")"
grep -q 'Too many open files' "$tmp/err" || fail "unclear: $(cat "$tmp/err")"
grep -q 'ulimit -n' "$tmp/err" || fail "no way on: $(cat "$tmp/err")"
