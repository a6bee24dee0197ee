#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where there is no room for the journal nothing changes; where there is none for
# the changes, the commit stops and is finished when there is.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
cd "$tmp"
small_filesystem vm 16M
journal=$tmp/vm/a.rawview-commit
make_base qcow2 vm/a
make_base vmdk:monolithicSparse vm/b
change_in_overlay qcow2 vm/a a.over 1
change_in_overlay vmdk vm/b b.over 2
qemu-img convert -f qcow2 -O raw a.over a.raw
qemu-img convert -f qcow2 -O raw b.over b.raw
remember vm/a vm/b a.over b.over

# fails STATUS PATTERN ARG…: commitcheck has no room.
fails ()
{
  local want=$1 pattern=$2 status=0

  shift 2
  "$commitcheck" "$@" 2>said.log || status=$?
  [ "$status" -eq "$want" ] || {
    cat said.log >&2
    fail "$*: status $status"
  }
  matches said.log 'No space left on device'
  matches said.log "$pattern"
}

dd if=/dev/zero of=vm/filler bs=4K status=none 2>/dev/null || :
fails 1 'cannot make the journal' run vm/a a.over vm/b b.over
unchanged
[ "$(ls vm)" = "$(printf '%s\n' a b filler)" ] || fail 'something is left'

# Room for journals, and for nothing else.
truncate -s -16K vm/filler
fails 2 'make room, and run .*--recover' run vm/a a.over vm/b b.over
fails 2 'make room, and run .*--recover' recover "$journal"
[ -e a.over ] && [ -e b.over ] || fail 'the overlays are gone'
rm vm/filler
"$commitcheck" recover "$journal" || fail 'it is not finished'
qemu-img check -f qcow2 vm/a >check.log 2>&1 || [ $? -eq 3 ] ||
  fail 'vm/a is damaged'
same_disk qcow2 vm/a a.raw
same_disk vmdk vm/b b.raw
[ "$(ls vm)" = "$(printf '%s\n' a b)" ] || fail 'something is left'
[ ! -e a.over ] && [ ! -e b.over ] || fail 'overlays are left'
