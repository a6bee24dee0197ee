# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced first by every end-to-end test.  Leaves the test with
#
#   $here   this directory
#   $tmp    a directory of its own on a disk, removed at the end
#
# A test that cannot run here says why and exits with 77; so that nobody
# takes that for a success, RAWVIEW_E2E_STRICT=1 makes it a failure.

set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
test_name=$(basename "$0" .sh)

# The appliance of libguestfs.  /dev/kvm can be there and yet start nothing,
# so emulate; on a machine where it is known to work set this to nothing.
export LIBGUESTFS_BACKEND=${LIBGUESTFS_BACKEND-direct}
export LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}

fail ()
{
    echo "$test_name: $*" >&2
    exit 1
}

skip ()
{
    [ -z "${RAWVIEW_E2E_STRICT-}" ] || fail "cannot run here: $*"
    echo "$test_name: skipped: $*"
    exit 77
}

# requires COMMAND [ARG…]: skip the test unless this succeeds.
requires ()
{
    local said

    if ! said=$("$@" 2>&1 </dev/null); then
        skip "\"$*\" failed: ${said:-nothing was said}"
    fi
}

# cleanup_fn COMMAND [ARG…]: run this when the test ends, however it ends;
# the last one registered runs first.
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
    for (( i = ${#cleanups[@]} - 1; i >= 0; i-- )); do
        eval "${cleanups[i]}"
    done
    exit "$status"
}
trap run_cleanups EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# /var/tmp, because copies of the guest's disk do not belong into a RAM disk.
# Short, because paths of sockets are.
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/rawview-e2e.XXXXXX")
cleanup_fn rm -rf "$tmp"

# bounded SECONDS PROGRAM [ARG…]: a hang has to end as a failure.
bounded () { timeout --kill-after=10 "$@"; }

# wait_until SECONDS COMMAND [ARG…]: poll until it succeeds.
wait_until ()
{
    local polls=$(( $1 * 10 ))
    shift

    until "$@" 2>/dev/null; do
        [ $(( polls-- )) -gt 0 ] || return 1
        sleep 0.1
    done
}

# gone PID: it has ended, even if nobody has asked yet how.
gone () { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }

# end_process PID: ask, wait, insist.
end_process ()
{
    kill "$1" 2>/dev/null || return 0
    if ! wait_until 30 gone "$1"; then
        echo "$test_name: process $1 ignored SIGTERM for 30 s" >&2
        kill -KILL "$1" 2>/dev/null
        return 1
    fi
}

# start_nbdkit SOCKET ARG…: run nbdkit in the background until stop_nbdkit or
# the end of the test.  If it does not come up, say what it said and return 1.
start_nbdkit ()
{
    local socket=$1 pidfile=$1.pid log=$1.log
    shift

    nbdkit --foreground --pidfile "$pidfile" --unix "$socket" "$@" \
           >"$log" 2>&1 </dev/null &
    cleanup_fn stop_nbdkit "$socket"
    if ! wait_until 30 nbdkit_started_or_gone "$pidfile" $! ||
            ! [ -s "$pidfile" ]; then
        echo "nbdkit $* did not start:" >&2
        cat "$log" >&2
        kill $! 2>/dev/null || :
        return 1
    fi
}

nbdkit_started_or_gone () { [ -s "$1" ] || gone "$2"; }

# stop_nbdkit SOCKET: no harm if it has ended already.
stop_nbdkit ()
{
    local pidfile=$1.pid status=0

    if [ -s "$pidfile" ]; then
        end_process "$(cat "$pidfile")" || status=$?
    fi
    rm -f "$pidfile" "$1"
    return $status
}

# start_rawviewfs SOURCE FILE: make SOURCE appear as the raw file FILE.
start_rawviewfs ()
{
    local source=$1 file=$2

    : >"$file"
    cleanup_fn stop_rawviewfs "$file"
    # It must not hold our standard output: it would keep a pipe open.
    if ! bounded 60 rawviewfs --pid-file="$file.pid" "$source" "$file" \
             >"$file.log" 2>&1 </dev/null ||
            ! wait_until 10 mounted "$file"; then
        echo "rawviewfs $source $file did not mount:" >&2
        cat "$file.log" >&2
        return 1
    fi
}

mounted () { findmnt --noheadings --mountpoint "$1" >/dev/null; }

# stop_rawviewfs FILE: unmount, and wait for the process, which ends only
# after umount has returned.  No harm if it was never mounted.
stop_rawviewfs ()
{
    local file=$1 pid='' status=0

    [ ! -s "$file.pid" ] || pid=$(cat "$file.pid")
    if mounted "$file" && ! umount "$file"; then
        umount --lazy "$file"
        status=1
    fi
    if [ -n "$pid" ] && ! wait_until 30 gone "$pid"; then
        echo "$test_name: rawviewfs is still there after umount" >&2
        kill -KILL "$pid" 2>/dev/null
        status=1
    fi
    rm -f "$file.pid"
    return $status
}

# What all tests of a whole guest need.
requires_guest ()
{
    [ "$(id -u)" -eq 0 ] || skip "run this as root"
    requires qemu-img --version
    requires nbdkit --version
    requires findmnt --version
    requires test -c /dev/fuse
    requires nbdkit rawview --version
    requires rawviewfs --version
}

# use_guest: makes $guest, the raw disk, which is shared: do not write to it.
use_guest ()
{
    local dir

    dir=$("$here/make-guest")
    guest=$dir/guest.raw
}

# use_format NAME: makes $image from $guest, in $tmp.
use_format ()
{
    "$here/make-formats" "$guest" "$tmp" "$1"
    # shellcheck disable=SC2034 # for the test
    image=$("$here/make-formats" --path "$1" "$tmp")
}
