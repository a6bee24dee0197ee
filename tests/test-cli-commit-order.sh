#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each step of a commit is durable, folders too, before the next one begins: a
# power cut finds what a kill would.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
requires strace -y -e trace=fsync true
cd "$tmp"
mkdir vm overlays
make_base qcow2 vm/a
make_base vmdk:monolithicSparse vm/b
change_in_overlay qcow2 vm/a overlays/a 1
change_in_overlay vmdk vm/b overlays/b 2

strace -f -y -o calls \
  -e trace=fsync,fdatasync,rename,unlink,pwrite64,fallocate,ftruncate \
  "$commitcheck" run vm/a overlays/a vm/b overlays/b

# A letter a call: what it does to what.
sed -n \
  -e "s#.* fsync([0-9]*<$tmp/overlays/[ab]>) *= 0#o#p" \
  -e "s#.* fsync([0-9]*<$tmp/overlays>) *= 0#O#p" \
  -e "s#.* fsync([0-9]*<$tmp/vm/a.rawview-commit.new>) *= 0#j#p" \
  -e "s#.* rename(.*a.rawview-commit.new\", .*a.rawview-commit\") *= 0#R#p" \
  -e "s#.* fsync([0-9]*<$tmp/vm>) *= 0#V#p" \
  -e "s#.* \(pwrite64\|fallocate\|ftruncate\)([0-9]*<$tmp/vm/[ab]>.*#w#p" \
  -e "s#.* f\(data\)\?sync([0-9]*<$tmp/vm/[ab]>) *= 0#s#p" \
  -e "s#.* unlink(\"$tmp/overlays/.*= 0#u#p" \
  -e "s#.* unlink(\"$tmp/vm/a.rawview-commit\") *= 0#U#p" \
  calls | tr -d '\n' | sed 's/w\+/w/g' >letters

grep -qE '^(oO){2}jRV[ws]*sjRV(uO){2}UV$' letters || {
  cat calls >&2
  fail "the order is $(cat letters)"
}
[ "$(grep -o w letters | wc -l)" -ge 4 ] || fail 'nothing was written'
