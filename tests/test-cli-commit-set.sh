#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A commit puts overlays into images of every kind that can be written, wherever
# they lie, and leaves nothing behind.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
cd "$tmp"
mkdir vm elsewhere
n=0
disks=()
for kind in qcow2 raw vmdk:monolithicSparse vmdk:monolithicFlat \
  qcow2:compressed; do
  n=$(( n + 1 ))
  make_base "$kind" vm/$n
  over=vm/$n.overlay.qcow2
  [ "$n" -ne 2 ] || over="elsewhere/with spaces%25 and"$'\n'"lines.overlay"
  change_in_overlay "${kind%%:*}" vm/$n "$over" "$n"
  qemu-img convert -f qcow2 -O raw "$over" $n.raw
  disks+=(-o "format=${kind%%:*}" "vm/$n" "$over")
done

"$commitcheck" check "${disks[@]}" || fail 'it could not be committed'
[ "$(find vm elsewhere -name '*over*' -printf x)" = xxxxx ] ||
  fail 'asking has removed something'
"$commitcheck" run "${disks[@]}" || fail 'it was not committed'

n=0
for kind in qcow2 raw vmdk vmdk qcow2; do
  n=$(( n + 1 ))
  [ "$kind" != qcow2 ] || is_clean qcow2 vm/$n
  same_disk "$kind" vm/$n $n.raw
done
no_traces vm
no_traces elsewhere

# What the guest has freed takes no space in a raw image any more.
rawview map --format=raw vm/2 >map.log
truncate -s 12M sparse
holes=$(stat -c %b vm/2)
cp --sparse=always 2.raw sparse
[ "$holes" -le $(( $(stat -c %b sparse) + 1024 )) ] ||
  fail "$holes blocks, $(stat -c %b sparse) would do"

status=0
"$commitcheck" recover "$tmp/vm/1.rawview-commit" || status=$?
[ "$status" -eq 3 ] || fail "there is nothing to recover, but status $status"
