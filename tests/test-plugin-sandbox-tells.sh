#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What holds is told: by nbdkit -v, by --dump-plugin; and what was denied, by the
# kernel's log.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_nbdkit
requires_sandbox

make_raw "$tmp/raw"
make_image qcow2 "$tmp/raw" "$tmp/a.qcow2"

command nbdkit rawview --dump-plugin >"$tmp/dump"
matches "$tmp/dump" "^rawview_sandbox=$sandbox_means\$"
matches "$tmp/dump" '^rawview_option_sandbox=auto\|on\|off$'

serve_with -v -r rawview "$tmp/a.qcow2"
matches "$nbdkit_log" 'debug: sandbox=auto \(Landlock [0-9]+, seccomp\): '
serve_with -v -r rawview "$tmp/a.qcow2" sandbox=on
matches "$nbdkit_log" 'debug: sandbox=on \(Landlock [0-9]+, seccomp\): '
serve_with -v -r rawview "$tmp/a.qcow2" sandbox=off
matches "$nbdkit_log" 'debug: sandbox=off$'

# It is no noise.
serve "$tmp/a.qcow2"
line_count "$nbdkit_log" 0

# New connections stay possible for a container on a server, and nothing else.
nbdkit () { "${misbehaving[@]}" nbdkit "$@"; }
misbehaviour
sock=$tmp/container.sock
command nbdkit -f -P "$tmp/container.pid" -U "$sock" -r file "$tmp/a.qcow2" &
cleanup_fn stop_process "$!"
wait_until 30 test -s "$tmp/container.pid"
mkdir "$tmp/dir"
cp "$tmp/a.qcow2" "$tmp/dir/local.qcow2"
serve_with -v -r rawview \
  export=remote:"nbd+unix:///?socket=$sock" export=local:"$tmp/a.qcow2"
matches "$nbdkit_log" 'connections stay possible, because an image is on a server'
reads_as "$(uri_of remote)" "$tmp/raw"
misbehave reads_as "$(uri_of local)" "$tmp/raw"
for what in connect tcp; do
  result_of request $what
  [ "$result" = ok ] || fail "$what: $result"
done
for what in create overwrite rename exec signal; do
  result_of request $what
  [ "$result" = EPERM ] || fail "$what: $result"
done

# sandbox= after export= would be about one of them.
refused "$tmp/said" nbdkit -f -U - rawview export=a:"$tmp/a.qcow2" sandbox=off
matches "$tmp/said" 'sandbox= is for the whole process'

# Threads that were there already are out of Landlock's reach.
misbehaviour
misbehaving+=(MISBEHAVE_EARLY=1)
refused "$tmp/said" "${misbehaving[@]}" nbdkit -f -U - rawview \
  "$tmp/a.qcow2" sandbox=on
matches "$tmp/said" 'has threads already'
serve "$tmp/a.qcow2"
matches "$nbdkit_log" 'Landlock does not reach threads'
misbehave reads_as "$uri" "$tmp/raw"
wait_until 30 grep -q '^early tried' "$bad/results" || fail 'it did not try'
all_denied early EPERM ok

# The kernel limits how much it writes, so it may take several attempts.
dmesg >/dev/null 2>&1 || exit 0
! pidof auditd >/dev/null || exit 0
dmesg | grep -q 'type=1326' || exit 0
misbehaviour
serve "$tmp/a.qcow2"
pid=$(cat "$tmp/nbdkit-$nr_servers.pid")
for _ in 1 2 3 4 5 6 7 8; do
  misbehave reads_as "$uri" "$tmp/raw"
  ! dmesg | grep "type=1326 .*pid=$pid .*sig=0 " >/dev/null || exit 0
  sleep 6
done
fail 'the kernel has not logged what was denied'
