#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image on a web server is read through nbdkit's curl plugin, by the command
# and by our own plugin, without a copy of it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit curl --version
requires python3 --version
cd "$tmp"
make_raw disk.raw
mkdir www
make_image vmdk disk.raw www/disk.vmdk -o subformat=streamOptimized
make_image qcow2 disk.raw www/disk.qcow2 -c

python3 "$RAWVIEW_SRCDIR/tests/web-server.py" 2>server.log &
cleanup_fn stop_process $!
wait_until 30 test -s port || fail 'the web server does not start'
web=http://127.0.0.1:$(cat port)

# start_curl NAME: the container, not the disk, on $tmp/NAME.sock.
start_curl ()
{
  no_proxy=127.0.0.1 start_nbdkit -P "$tmp/$1.pid" -U "$tmp/$1.sock" \
    curl "$web/$1" 2>"$tmp/$1.log"
}

for name in disk.vmdk disk.qcow2; do
  start_curl "$name"
  source="nbd+unix:///?socket=$tmp/$name.sock"
  rawview info "$source" >info
  matches info "^file format: ${name#disk.}"
  rawview copy --force "$source" copy.raw
  same disk.raw copy.raw
  if [ -e "$RAWVIEW_BUILDDIR/nbdkit-plugin/nbdkit-rawview-plugin.la" ]; then
    serve "$source"
    reads_as "$uri" disk.raw
  fi
done
