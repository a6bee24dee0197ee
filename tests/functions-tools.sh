# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced after functions.sh by the tests of what a guest needs besides
# virt-v2v.  They do not depend on what this machine has, or where it is
# connected to.

guestcheck=$RAWVIEW_BUILDDIR/cli/guestcheck

requires_guestcheck ()
{
  requires test -x "$guestcheck"
  unset VIRTIO_WIN VIRT_TOOLS_DATA_DIR RAWVIEW_TOOLS_URL XDG_CACHE_HOME
  unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
  export RAWVIEW_TOOLS_CONF=$tmp/no-configuration
  export RAWVIEW_TOOLS_DATADIR=$tmp/no-share
  umask 022
}

# make_iso FILE TEXT: the signature of ISO 9660, and something else.
make_iso ()
{
  truncate -s 32769 "$1"
  printf 'CD001\1\0%s' "$2" >>"$1"
  truncate -s 64K "$1"
}

# make_tools FOLDER [TEXT]: all that a Windows guest needs, with checksums.
make_tools ()
{
  mkdir -p "$1"
  rm -f "$1/virtio-win.iso"
  make_iso "$1/virtio-win.iso" "${2:-drivers}"
  printf 'MZ rhsrvany %s' "${2:-}" >"$1/rhsrvany.exe"
  printf 'MZ pvvxsvc %s' "${2:-}" >"$1/pvvxsvc.exe"
  sum_tools "$1"
}

sum_tools ()
{
  (cd "$1" && sha256sum virtio-win.iso rhsrvany.exe pvvxsvc.exe >SHA256SUMS)
}

# is_filled CACHE FOLDER: the cache has the folder's files and no leftovers.
is_filled ()
{
  local name

  for name in virtio-win.iso rhsrvany.exe pvvxsvc.exe; do
    cmp "$1/$name" "$2/$name" || fail "$1/$name is not $2/$name"
  done
  no_leftovers "$1"
}

no_leftovers ()
{
  [ -z "$(find "$1" -name '*.part' 2>/dev/null)" ] ||
    fail "a part is left in $1: $(ls -A "$1")"
}

# start_tools_server FOLDER NAME [CERTIFICATE KEY]: sets $port; the requests
# are in NAME.requests.
start_tools_server ()
{
  local folder=$1 name=$2

  shift 2
  : >"$name.requests"
  rm -f "$name.port"
  python3 "$RAWVIEW_SRCDIR/tests/tools-server.py" "$folder" "$name.port" \
    "$name.requests" "$@" &
  server_pid=$!
  cleanup_fn stop_process "$server_pid"
  wait_until 60 test -s "$name.port" || fail 'the web server did not start'
  # shellcheck disable=SC2034
  port=$(cat "$name.port")
}

# tools STATUS ARG…: what is said is in out and err.
tools ()
{
  local expected=$1 status=0

  shift
  "$guestcheck" tools "$@" >out 2>err || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat out err; fail "status $status, not $expected: tools $*"; }
}
