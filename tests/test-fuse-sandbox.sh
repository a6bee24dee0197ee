#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A daemon that has been taken over can change no file but its images, start no
# program and reach nobody; what it tries fails, files can be read on, and the
# end is as it was: unmounted, and the pid file gone.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_fuse
requires_sandbox

make_raw "$tmp/raw"
make_image qcow2 "$tmp/raw" "$tmp/a.qcow2"
: >"$tmp/disk"
rawviewfs () { "${misbehaving[@]}" rawviewfs "$@"; }

# view [OPTION…]: in the background
view ()
{
  misbehaviour
  mount_view "$@" "$tmp/a.qcow2" "$tmp/disk"
}

read_all () { same "$tmp/raw" "$tmp/disk"; }

end ()
{
  kill "$view_pid"
  wait_until 30 has_ended "$view_pid" || fail 'the daemon is still there'
  is_not_mounted "$tmp/disk" || fail 'it has not unmounted'
  [ ! -e "$tmp/view.pid" ] || fail 'the pid file was left behind'
}

view
misbehave read_all
all_denied request EACCES ok
all_denied thread EACCES ok
read_all
end

view --sandbox=on
misbehave read_all
all_denied request EPERM EPERM
all_denied thread EPERM EPERM
read_all
end

# To look beside an image that is written, its folder can be read.
view --sandbox=on --rw
misbehave read_all
all_denied request EPERM EACCES
end

view --sandbox=off
misbehave read_all
all_allowed request
all_allowed thread
read_all
end

# Unmounted by others, it leaves alone what was mounted there since.
misbehaviour
mount_view "$tmp/a.qcow2" "$tmp/disk"
unmount_view "$tmp/disk"
[ ! -e "$tmp/view.pid" ] || fail 'the pid file was left behind'

# What holds is told, and nothing else.
unset -f rawviewfs
rawviewfs -f -d --pid-file "$tmp/view.pid" "$tmp/a.qcow2" "$tmp/disk" \
  2>"$tmp/debug.log" &
view_pid=$!
cleanup_fn end_view "$tmp/disk" "$view_pid"
wait_until 30 test -s "$tmp/view.pid"
wait_until 30 grep -q 'rawviewfs: sandbox=auto (Landlock' "$tmp/debug.log" ||
  fail 'it does not tell what holds'
end
mount_view_in_foreground "$tmp/view.log" "$tmp/a.qcow2" "$tmp/disk"
read_all
end
line_count "$tmp/view.log" 0
