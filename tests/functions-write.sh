# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests that write, after functions.sh.

# serve_rw ARG…: start "nbdkit rawview ARG…", as serve does.
serve_rw () { serve_with rawview "$@"; }

# stop_server: end the last server; it must end well.
stop_server ()
{
  local pid status=0

  pid=$(cat "$tmp/nbdkit-$nr_servers.pid")
  kill "$pid"
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || fail "nbdkit ended with status $status"
}

# kill_server: the last server has no time to do anything.
kill_server ()
{
  local pid

  pid=$(cat "$tmp/nbdkit-$nr_servers.pid")
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || :
}

# is_clean FORMAT FILE: QEMU finds neither errors nor leaks.
is_clean ()
{
  local format=$1 file=$2 status=0

  requires qemu-img --version
  qemu-img check -f "$format" "$file" >"$tmp/check.log" 2>&1 || status=$?
  [ "$status" -eq 0 ] || fail "qemu-img check $file: status $status"
}

# is_now FORMAT FILE RAWFILE: QEMU reads the same from it, and it is clean.
is_now ()
{
  case $1,$2 in
    raw,* | *-flat.vmdk) ;;
    *) is_clean "$1" "$2" ;;
  esac
  qemu-img compare -f "$1" -F raw "$2" "$3" >"$tmp/compare.log" 2>&1 || {
    cat "$tmp/compare.log" >&2
    fail "$2 does not have the bytes of $3"
  }
}

# remember FILE…, unchanged: the files must stay as they are, byte for byte.
remember () { sha256sum "$@" >"$tmp/remembered"; }
unchanged ()
{
  sha256sum --quiet -c "$tmp/remembered" || fail 'a file has changed'
}

# small_filesystem DIR SIZE: a full one is easily had.
small_filesystem ()
{
  mkdir "$1"
  mount -t tmpfs -o "size=$2" none "$1" 2>/dev/null ||
    skip 'cannot mount a filesystem here'
  cleanup_fn umount -l "$1"
}

#--- Random writes, see writecheck.c

: "${WRITECHECK_SEED:=1}" "${WRITECHECK_OPERATIONS:=100}"

# make_disk FILE SIZE: a raw one with data and holes.
make_disk ()
{
  truncate -s "$2" "$1"
  seq -f "these are the bytes of $1: %.0f" 20000 |
    dd of="$1" bs=64K seek=5 conv=notrunc status=none
  seq 100000 | dd of="$1" bs=64K seek=40 conv=notrunc status=none
}

# write_into NAME: QCOW2 image NAME, whose disk has the bytes of NAME.raw, is
# written to by one thread and by several.
write_into ()
{
  local threads

  for threads in 1 4; do
    "$RAWVIEW_BUILDDIR/tests/writecheck" -s "$WRITECHECK_SEED" \
      -n "$WRITECHECK_OPERATIONS" \
      -t $threads "$1" "$1.raw" || fail "$1, $threads threads"
    is_now qcow2 "$1" "$1.raw"
  done
}
