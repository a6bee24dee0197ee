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
