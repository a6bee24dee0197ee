# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests that mount something, after functions.sh.

# A build without rawviewfs is a reason to skip, one that does not run is not.
requires_fuse ()
{
  requires test -w /dev/fuse
  requires test -x "$RAWVIEW_BUILDDIR/fusefs/rawviewfs"
  [ "$(id -u)" -eq 0 ] || requires fusermount3 --version
}

# as_user COMMAND…: as an ordinary user, which only root can become.
as_user () { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# That user can run rawviewfs and mount.
requires_user ()
{
  requires test "$(id -u)" -eq 0
  requires as_user true
  requires test -u "$(command -v fusermount3)"
  requires as_user rawviewfs --version
}

# is_mounted PATH; the path has no characters that /proc/mounts would escape.
is_mounted ()
{
  awk -v path="$1" '$2 == path { found = 1 } END { exit !found }' \
    /proc/self/mounts
}

is_not_mounted () { ! is_mounted "$1"; }

# A process that has ended counts as such also while nobody has waited for it,
# which a container's first process may be slow to do.
has_ended () { ! readlink "/proc/$1/exe" >/dev/null; }

# end_view MOUNTPOINT PID: what must never be left behind by a test.
end_view ()
{
  if is_mounted "$1"; then
    fusermount3 -u -z "$1" || umount -l "$1"
  fi
  grep -qx rawviewfs "/proc/$2/comm" 2>/dev/null || return 0
  kill "$2"
  if ! wait_until 30 has_ended "$2"; then
    echo "$test_name: rawviewfs $2 had to be killed" >&2
    kill -KILL "$2"
  fi
}

# mount_view [OPTION…] SOURCE MOUNTPOINT: as a daemon, until the test ends.
# $view_pid is its process.
mount_view ()
{
  rawviewfs --pid-file "$tmp/view.pid" "$@"
  view_pid=$(cat "$tmp/view.pid")
  cleanup_fn end_view "${!#}" "$view_pid"
}

# mount_view_in_foreground LOG [OPTION…] SOURCE MOUNTPOINT: the same with the
# messages in a file.
mount_view_in_foreground ()
{
  local log=$1

  shift
  rawviewfs -f --pid-file "$tmp/view.pid" "$@" 2>"$log" &
  view_pid=$!
  cleanup_fn end_view "${!#}" "$view_pid"
  wait_until 30 test -s "$tmp/view.pid" || fail "no mount: $(cat "$log")"
}

# unmount_view MOUNTPOINT: and wait for the daemon, $view_pid.
unmount_view ()
{
  fusermount3 -u "$1"
  wait_until 30 has_ended "$view_pid" || fail "the daemon is still there"
}

# fails_with STATUS COMMAND…: one line on stderr, that status, nothing mounted.
# The line is in $tmp/said.
fails_with ()
{
  local expected=$1 status=0

  shift
  timeout 60 "$@" </dev/null 2>"$tmp/said" || status=$?
  if is_mounted "${!#}"; then
    fusermount3 -u -z "${!#}" || umount -l "${!#}"
    fail "this has mounted something: $*"
  fi
  [ "$status" -eq "$expected" ] ||
    fail "status $status, not $expected: $*: $(cat "$tmp/said")"
  line_count "$tmp/said" 1
  matches "$tmp/said" '^rawviewfs: '
}
