#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import - : a disk that comes from a pipe.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image vmdk disk.raw a.vmdk -o subformat=streamOptimized

# shellcheck disable=SC2002
cat a.vmdk | rawview import - --to out.qcow2 --name web1 >plan
qemu-img compare -q -f raw -F qcow2 disk.raw out.qcow2 || fail 'it differs'
qemu-img check -q out.qcow2 || fail 'it has errors'
matches plan '^guest: web1$'
# shellcheck disable=SC2002
cat a.vmdk | rawview import - --to out.raw >plan
same disk.raw out.raw

# One that is cut leaves nothing.
status=0
head -c 300000 a.vmdk | rawview import - --to cut.qcow2 >plan 2>err ||
  status=$?
[ "$status" -eq 5 ] || fail "status $status"
matches err 'bytes of the stream had come'
[ ! -e cut.qcow2 ] || fail 'a partial file is left'
