#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# mount is rawviewfs: the same arguments, the same statuses.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires test -x "$RAWVIEW_BUILDDIR/fusefs/rawviewfs"
requires test -w /dev/fuse
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2
mkdir mnt

rawview mount --pid-file "$tmp/pid" --cache=1M disk.qcow2 mnt
cleanup_fn fusermount3 -uqz "$tmp/mnt"
same disk.raw mnt/disk.qcow2.raw
fusermount3 -u mnt

touch file
rawview mount --pid-file "$tmp/pid" --overlay=changes.qcow2 disk.qcow2 file
cleanup_fn fusermount3 -uqz "$tmp/file"
printf 'changed' | dd of=file conv=notrunc status=none
[ "$(head -c 7 file)" = changed ] || fail 'not written'
fusermount3 -u file

status=0
rawview mount disk.raw mnt 2>err || status=$?
[ "$status" -eq 3 ] || fail "status $status"
line_count err 1

rawview mount --help >ours
rawviewfs --help >theirs
same ours theirs
rawview help mount >ours
same ours theirs
