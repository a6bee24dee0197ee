#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Serves the folder www with ranges, which Python's own web server knows not.

Its port, on 127.0.0.1, is in the file "port" as soon as it serves.
"""

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
