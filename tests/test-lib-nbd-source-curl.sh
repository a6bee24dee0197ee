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

# Python's own web server knows no ranges.
cat >server.py <<'PY'
import http.server
import os
import re


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, send):
        try:
            body = open("www" + self.path, "rb").read()
        except OSError:
            return self.send_error(404)
        first, last = 0, len(body) - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if asked:
            first = int(asked[1])
            last = min(last, int(asked[2] or last))
            self.send_response(206)
            self.send_header("Content-Range",
                             f"bytes {first}-{last}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if send:
            self.wfile.write(body[first:last + 1])

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as f:
    print(server.server_port, file=f)
os.rename("port.new", "port")
server.serve_forever()
PY
python3 server.py 2>server.log &
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
