# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced first by every test-*.sh:
#
#   . "$RAWVIEW_SRCDIR/tests/functions.sh"
#
# Tests are run by "../run", so that rawview, rawviewfs and "nbdkit rawview"
# are those of the build.  This leaves the test in bash's strict mode with
#
#   $test_name   its name, for messages
#   $tmp         a directory of its own, removed at the end, however it ends.
#                Its path is absolute and short enough for a socket's.  If the
#                test fails, the end of every *.log in it is shown.
#
# A test exits with 0 if the behaviour holds, 77 if it cannot be tested here,
# anything else if it does not hold.

set -eu -o pipefail

: "${RAWVIEW_SRCDIR:?run this test by ../run}"
: "${RAWVIEW_BUILDDIR:?run this test by ../run}"

test_name=$(basename "$0" .sh)

# Messages of the programs under test are compared, so they must be English.
export LC_ALL=C.UTF-8

#--- Outcomes

fail ()
{
  echo "$test_name: $*" >&2
  exit 1
}

skip ()
{
  echo "$test_name: skipped: $*"
  exit 77
}

# requires COMMAND [ARG…]: skip the test unless this succeeds.
requires ()
{
  "$@" </dev/null >/dev/null 2>&1 || skip "\"$*\" does not succeed here"
}

requires_nbdkit ()
{
  requires nbdkit --version
  requires test -e "$RAWVIEW_BUILDDIR/nbdkit-plugin/nbdkit-rawview-plugin.la"
}

# nbdsh with a Python that has libnbd's module: the first one on the path may
# be another than the one that the distribution's module is for.
nbdsh () { "$nbd_python" -m nbd "$@"; }

requires_nbdsh ()
{
  for nbd_python in python3 /usr/bin/python3; do
    ! "$nbd_python" -c 'import nbd' 2>/dev/null || return 0
  done
  skip 'there is no Python with the module nbd'
}

#--- Cleaning up

# cleanup_fn COMMAND [ARG…]: run this when the test ends, however it ends; the
# last one registered runs first.
cleanups=()
cleanup_fn ()
{
  cleanups+=("$(printf '%q ' "$@")")
}

run_cleanups ()
{
  local status=$? i

  trap '' INT TERM HUP
  set +e
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    tail -n 20 "$tmp"/*.log >&2 2>/dev/null
  fi
  for (( i = ${#cleanups[@]} - 1; i >= 0; i-- )); do
    eval "${cleanups[i]}"
  done
  exit "$status"
}
trap run_cleanups EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

tmp=$(mktemp -d "${TMPDIR:-/tmp}/rawview.XXXXXX")
cleanup_fn rm -rf "$tmp"

#--- Waiting

# wait_until SECONDS COMMAND [ARG…]: repeat the command until it succeeds.
wait_until ()
{
  local polls=$(( $1 * 20 ))

  shift
  until "$@"; do
    (( polls-- > 0 )) || return 1
    sleep 0.05
  done
}

# Also true if only its parent has not noticed yet.  While one of its threads is
# still ending, it keeps its files, with their locks.
process_is_gone ()
{
  ! kill -0 "$1" 2>/dev/null ||
    ! cat "/proc/$1/task/"*/status 2>/dev/null |
      grep '^State:' | grep -qv '^State:[[:space:]]*[ZX]'
}

# stop_process PID: end it politely, and insist after 30 seconds.
stop_process ()
{
  kill "$1" 2>/dev/null || return 0
  if ! wait_until 30 process_is_gone "$1"; then
    echo "$test_name: process $1 had to be killed" >&2
    kill -KILL "$1"
  fi
}

#--- nbdkit

# start_nbdkit -P PIDFILE ARG…: start nbdkit and wait until it serves.  It ends
# with the test.  It stays in the foreground (-f), so its messages go to the
# test's log or where the caller redirects them.
start_nbdkit ()
{
  local pid

  [ "$1" = -P ] || fail 'start_nbdkit: the first argument must be -P'
  nbdkit -f "$@" &
  pid=$!
  cleanup_fn stop_process "$pid"
  # shellcheck disable=SC2016
  wait_until 60 sh -c 'test -s "$1" || ! kill -0 "$2"' sh "$2" "$pid" \
    2>/dev/null || fail "nbdkit did not write $2"
  [ -s "$2" ] || fail 'nbdkit ended before it served anything'
}

# serve ARG…: start "nbdkit -r rawview ARG…" and set $sock to its socket, $uri
# to the URI of its default export, $nbdkit_log to what it says.
nr_servers=0
serve () { serve_with -r rawview "$@"; }

# serve_with ARG…: the same for "nbdkit ARG…".
serve_with ()
{
  nr_servers=$(( nr_servers + 1 ))
  sock=$tmp/nbdkit-$nr_servers.sock
  # shellcheck disable=SC2034
  uri="nbd+unix:///?socket=$sock"
  nbdkit_log=$tmp/nbdkit-$nr_servers.log
  start_nbdkit -P "$tmp/nbdkit-$nr_servers.pid" -U "$sock" "$@" \
    2>"$nbdkit_log"
}

# uri_of NAME: the URI of an export of the last server.
uri_of () { echo "nbd+unix:///$1?socket=$sock"; }

# reads_as URI RAWFILE: fail unless all of the export is the same as the file.
reads_as ()
{
  rm -f "$tmp/read.raw"
  nbdcopy -- "$1" "$tmp/read.raw"
  same "$2" "$tmp/read.raw"
}

#--- Images

# mkimage RECIPE OUTDIR: build an image from tests/recipes/RECIPE.recipe (or
# from a recipe's file), with expected.raw and meta.json beside it.
mkimage ()
{
  local recipe=$1

  requires python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'
  [ -e "$recipe" ] || recipe=$RAWVIEW_SRCDIR/tests/recipes/$recipe.recipe
  python3 "$RAWVIEW_SRCDIR/tests/recipes/mkimage" "$recipe" "$2"
}

# make_raw FILE: 12 MiB that have something of everything: data that does not
# compress, data that does, written zeros, holes, and odd edges.
make_raw ()
{
  local i

  truncate -s 12M "$1"
  dd if=/dev/urandom of="$1" bs=64K count=17 conv=notrunc status=none
  for (( i = 0; i < 100; i++ )); do
    printf 'rawview %08d\n%.0s' "$i" {1..512}
  done | dd of="$1" bs=4K seek=777 conv=notrunc status=none
  dd if=/dev/urandom of="$1" bs=1 seek=7340033 count=1000 conv=notrunc \
    status=none
  dd if=/dev/zero of="$1" bs=64K seek=120 count=3 conv=notrunc status=none
  dd if=/dev/urandom of="$1" bs=512 seek=24575 count=1 conv=notrunc \
    status=none
}

# make_image FORMAT RAWFILE FILE [OPTION…]: the same disk in another format;
# OPTIONs are those of "qemu-img convert", for example "-c" or "-o
# subformat=streamOptimized".
make_image ()
{
  local format=$1 raw=$2 file=$3

  shift 3
  requires qemu-img --version
  qemu-img convert -q -f raw -O "$format" "$@" "$raw" "$file"
}

# damage_qcow2 FILE CLUSTER [ENTRY]: make the L2 entry of a cluster of a small
# image ENTRY, by default one that points far beyond the end of the file.
damage_qcow2 ()
{
  requires python3 --version
  python3 - "$@" <<'PY'
import struct
import sys

entry = int(sys.argv[3], 0) if len(sys.argv) > 3 else 1 << 63 | 1 << 45
with open(sys.argv[1], "r+b") as f:
    f.seek(40)
    l1_offset, = struct.unpack(">Q", f.read(8))
    f.seek(l1_offset)
    l2_offset = struct.unpack(">Q", f.read(8))[0] & 0x00fffffffffffe00
    f.seek(l2_offset + int(sys.argv[2]) * 8)
    f.write(struct.pack(">Q", entry))
PY
}

#--- What programs said

# same FILE FILE: fail unless they are byte for byte the same.
same ()
{
  cmp "$1" "$2" || fail "$1 and $2 differ"
}

# matches FILE REGEX: fail unless a line of the file matches.
matches ()
{
  if ! grep -Eq -e "$2" "$1"; then
    echo "--- $1" >&2
    cat "$1" >&2
    fail "no line of it matches: $2"
  fi
}

# line_count FILE N: fail unless the file has that many lines.
line_count ()
{
  if [ "$(wc -l <"$1")" -ne "$2" ]; then
    echo "--- $1" >&2
    cat "$1" >&2
    fail "$2 line(s) were expected"
  fi
}

# refused FILE COMMAND [ARG…]: run a command that must fail by itself, neither by
# a signal nor by a sanitizer, with what it says on stderr in FILE.
refused ()
{
  local said=$1 status=0

  shift
  timeout 60 "$@" </dev/null 2>"$said" || status=$?
  [ "$status" -ne 0 ] || fail "this should have failed: $*"
  if [ "$status" -ge 124 ]; then
    cat "$said" >&2
    fail "this ended with status $status: $*"
  fi
}
