#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import --user: images are read, and files made, by a user without privileges.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires rawview import --help
requires test "$(id -u)" -eq 0
requires id nobody
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
mkdir to
chmod 755 .
chmod 644 a.qcow2

# Root could.
refused err rawview import a.qcow2 --to to/a.raw --user nobody
matches err '/to/: Permission denied'
[ -z "$(ls -A to)" ] || fail 'something was made'
chown nobody to
rawview import a.qcow2 --to to/a.raw --user nobody >plan
same disk.raw to/a.raw
[ "$(stat -c %U to/a.raw)" = nobody ] || fail 'the file is not the user'"'"'s'
chmod 600 a.qcow2
refused err rawview import a.qcow2 --to to/b.raw --user nobody
matches err 'a\.qcow2: Permission denied'
refused err rawview import a.qcow2 --to to/b.raw --user no-such-user
matches err '--user=no-such-user: there is no such user'
