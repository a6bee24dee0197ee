#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The benchmarks can be run in a tree that was just built, and where they cannot
# they say so before they make any image.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
cd "$tmp"
mkdir images
export BENCH_DIR=$tmp BENCH_IMAGES=$tmp/images

# says SENTENCE BENCHMARK CASE: it fails, and with that.
says ()
{
  refused said bash "$RAWVIEW_SRCDIR/bench/$2" "$3" >out
  matches said "$1"
  [ -z "$(ls images)" ] || fail "bench/$2 had begun with images"
  [ ! -s out ] || fail "bench/$2 had begun with its table"
}

for client in nbd-read nbd-write; do
  [ -x "$RAWVIEW_BUILDDIR/bench/$client" ] || fail "\"make\" leaves no $client"
done
bash "$RAWVIEW_SRCDIR/bench/read" list >cases
matches cases '^open$'

says 'no such case: nothing' read nothing
says 'no such case: nothing' write nothing
mkdir empty
export RAWVIEW_BUILDDIR=$tmp/empty
says 'nbd-read is not built; run "make ' read open
says 'nbd-write is not built; run "make ' write own-raw
