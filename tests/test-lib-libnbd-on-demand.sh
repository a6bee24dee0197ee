#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# libnbd is loaded when a container is on an NBD server, and only then: files
# are opened without it, even where it is missing or of no use.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires readelf --version
requires_nbdkit
requires nbdkit file --version
requires nbdcopy --version
requires cc --version
cd "$tmp"

# needs_no_libnbd FILE: fail if loading this loads libnbd.
needs_no_libnbd ()
{
  readelf -d "$1" >dynamic
  grep -q 'NEEDED.*libc\.so' dynamic || fail "readelf does not show what $1 needs"
  ! grep 'NEEDED.*libnbd' dynamic || fail "$1 is linked with libnbd"
}

library=$RAWVIEW_BUILDDIR/lib/.libs/librawview.so
needs_no_libnbd "$library"
needs_no_libnbd "$RAWVIEW_BUILDDIR/nbdkit-plugin/.libs/nbdkit-rawview-plugin.so"
! grep libnbd "$RAWVIEW_BUILDDIR/lib/rawview.pc" || fail 'rawview.pc has it'

# Packagers are told in the file itself.
readelf -p .note.dlopen "$library" >note
matches note '"soname":\["libnbd\.so\.0"\]'

make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2
start_nbdkit -P file.pid -U "$tmp/file.sock" file disk.qcow2
container="nbd+unix:///?socket=$tmp/file.sock"

# is_loaded: does the last server have libnbd in its memory?
is_loaded ()
{
  grep -q libnbd "/proc/$(cat "nbdkit-$nr_servers.pid")/maps"
}

serve disk.qcow2
reads_as "$uri" disk.raw
! is_loaded || fail 'a file was opened with libnbd'
serve "$container"
reads_as "$uri" disk.raw
is_loaded || fail 'nobody knows how this container was read'

# With a libnbd that cannot be used.
mkdir broken
with_broken=(env "LD_LIBRARY_PATH=$tmp/broken:${LD_LIBRARY_PATH-}")
: >broken/libnbd.so.0
refused said "${with_broken[@]}" nbdkit -r -U - rawview "$container" --run :
matches said 'need libnbd, and it cannot be loaded \(.*libnbd\.so\.0: '
matches said 'the package libnbd0$'
"${with_broken[@]}" nbdkit -r -U - rawview disk.qcow2 --run :

cc -shared -o broken/libnbd.so.0 -x c /dev/null
refused said "${with_broken[@]}" nbdkit -r -U - rawview "$container" --run :
matches said 'need libnbd 1\.14 or later: this libnbd\.so\.0 has no nbd_'
