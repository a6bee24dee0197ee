#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Small images that ask for much work get little of it: opening them, each
# question about extents, and reads cost bounded time and memory.  Time is that
# of the process, not of the clock.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'
[ -z "${RAWVIEW_ASAN_LIBRARY-}" ] || skip 'a sanitizer takes its own memory'

kib=1024
cache=$(( 8 * kib ))    # of KiB, as hostilecheck is told
program=$(( 8 * kib ))  # itself, with its libraries
# Tables that are as large as the formats allow, with lists of what they name:
# RV_MAX_CHAIN_TABLES.  All else stays below 64 MiB.
tables=$(( 72 * kib ))
other=$(( 64 * kib - program ))

# value NAME: what hostilecheck said of it.
value () { sed -n "s/^$1 //p" "$tmp/said"; }

# at_most NAME LIMIT
at_most ()
{
  [ "$(value "$1")" -lt "$2" ] || fail "$bomb: $1 $(value "$1"), limit $2"
}

measure ()
{
  local limit

  "$RAWVIEW_BUILDDIR/tests/hostilecheck" -r 100 "$1" - cache=8M \
    >"$tmp/said" 2>"$tmp/said.log" || fail "$bomb: $(cat "$tmp/said.log")"
  for what in open extents extents-one extents-runs; do
    at_most "$what-us" 1000000
  done
  # One cluster of 2 MiB is decoded for each at most.
  at_most reads-us 5000000
  case $bomb in
    l1-* | full-* | directory-*) limit=$tables ;;
    *) limit=$other ;;
  esac
  at_most peak-kib $(( limit + cache + program ))
}

# is_refused FILE REGEX
is_refused ()
{
  refused "$tmp/said.log" "$RAWVIEW_BUILDDIR/tests/hostilecheck" "$1" - cache=8M
  matches "$tmp/said.log" "$2"
  line_count "$tmp/said.log" 1
}

# Many snapshots are listed in memory for their list, and once more for JSON.
list ()
{
  ( ulimit -v $(( 512 * kib )) -t 10
    rawview info --json "$1" >"$tmp/info.json"
    rawview info "$1" >"$tmp/info" ) || fail "$bomb: cannot be listed"
}

"$RAWVIEW_SRCDIR/tests/make-bombs" --names >"$tmp/names"
[ "$(wc -l <"$tmp/names")" -gt 20 ] || fail 'where are the others?'
while read -r bomb; do
  size=$("$RAWVIEW_SRCDIR/tests/make-bombs" "$tmp/bomb" "$bomb")
  file=$tmp/bomb/$bomb
  echo refused >"$tmp/said"
  case $bomb in
    chain-of-tables.qcow2 | chain-of-reftables.qcow2)
      is_refused "$file" 'the chain so far.*bytes of memory' ;;
    members-many.ova) is_refused "$file" 'more than 4096 members' ;;
    snapshots-*) measure "$file"; list "$file" ;;
    *) measure "$file" ;;
  esac
  echo "$bomb, $size bytes: $(tr '\n' ' ' <"$tmp/said")"
  rm -r "$tmp/bomb"
done <"$tmp/names"
