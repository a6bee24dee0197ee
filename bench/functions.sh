# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What all benchmarks need.  Sourced by them; makes the folder $tmp.

: "${RAWVIEW_SRCDIR:?run this by \"make bench\"}"

tmp=$(mktemp -d "${BENCH_DIR:-/var/tmp}/rawview-bench.XXXXXX")
: >"$tmp/log"
server=
helpers=()
clean_up ()
{
  local pid

  for pid in $server "${helpers[@]}"; do
    kill "$pid" 2>/dev/null || :
  done
  wait
  rm -rf "$tmp"
}
trap clean_up EXIT

die ()
{
  echo "bench/${0##*/}: $*" >&2
  exit 1
}

wait_for () # COMMAND…
{
  local i

  for (( i = 0; i < 400; i++ )); do
    ! "$@" || return 0
    sleep 0.025
  done
  cat "$tmp/log" >&2
  die "this does not become true: $*"
}

stop () # PID
{
  kill "$1"
  wait "$1" || :
}

median () { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# What a table of numbers is worth nothing without.
machine ()
{
  local version

  echo "$(date -u +%F), $(nproc) x $(awk -F ': ' '/^model name/ { m = $2 }
    END { print m }' /proc/cpuinfo), Linux $(uname -r)"
  for version in rawview qemu-nbd nbdkit nbdcopy fio; do
    "$version" --version | sed -n 1p
  done
}

needs ()
{
  local program

  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is needed"
  done
}

# What is measured, and what it is measured with.
needs_build () # CLIENT
{
  [ -x "$1" ] ||
    die "$1 is not built; run \"make -C $RAWVIEW_BUILDDIR\" first"
  needs nbdkit rawview
  nbdkit rawview --version >"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    die 'nbdkit cannot load the rawview plugin'
  }
}
