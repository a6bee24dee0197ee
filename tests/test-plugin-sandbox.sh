#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A server that has been taken over can change no file but its images, start no
# program and reach nobody; what it tries fails and serving goes on.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_nbdkit
requires_sandbox

make_raw "$tmp/raw"
make_image qcow2 "$tmp/raw" "$tmp/a.qcow2" -c

nbdkit () { "${misbehaving[@]}" nbdkit "$@"; }

read_all () { reads_as "$uri" "$tmp/raw"; }

misbehaviour
serve "$tmp/a.qcow2"
misbehave read_all
all_denied request EACCES ok
all_denied thread EACCES ok
read_all

misbehaviour
serve "$tmp/a.qcow2" sandbox=on
misbehave read_all
all_denied request EPERM EACCES
all_denied thread EPERM EACCES
read_all

# With an overlay nobody looks beside the image, so nothing needs to be opened.
misbehaviour
serve_with rawview "$tmp/a.qcow2" overlay="$tmp/o.qcow2" sandbox=on
misbehave read_all
all_denied request EPERM EPERM
all_denied thread EPERM EPERM
read_all

# Somebody who writes in place has no more rights.
misbehaviour
cp "$tmp/a.qcow2" "$tmp/b.qcow2"
serve_with rawview "$tmp/b.qcow2" sandbox=auto
misbehave read_all
all_denied request EACCES ok

misbehaviour
serve "$tmp/a.qcow2" sandbox=off
misbehave read_all
all_allowed request
all_allowed thread
read_all
