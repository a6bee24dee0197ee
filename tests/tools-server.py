#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# tools-server.py FOLDER PORT-FILE LOG [CERTIFICATE KEY]: a web server on
# 127.0.0.1, https with a certificate, for test-cli-tools-*.sh.  It appends a
# line "PATH" to LOG for every request, and misbehaves where the path says so:
#
#   /cut/NAME          ends after half of the bytes that it announced
#   /endless/NAME      does not end, for NAME that is not SHA256SUMS
#   /held/NAME         waits after half of the bytes until FOLDER/go is there
#   /to-http/NAME      redirects to http
#   /loop/NAME         redirects to itself
#   /NAME              the file

import http.server
import os
import ssl
import sys
import time

folder, port_file, log = sys.argv[1:4]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(log, "a") as f:
            print(self.path, file=f)
        parts = self.path.split("/")
        name, mode = parts[-1], parts[1] if len(parts) > 2 else ""
        if name == "SHA256SUMS" and mode != "cut":
            mode = ""
        if mode in ("to-http", "loop"):
            self.send_response(302)
            self.send_header("Location", self.path if mode == "loop" else
                             f"http://{self.headers['Host']}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            with open(os.path.join(folder, name), "rb") as f:
                body = f.read()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        if mode != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.send_body(mode, body)

    def send_body(self, mode, body):
        half = len(body) // 2
        self.wfile.write(body[:half])
        self.wfile.flush()
        if mode == "cut":
            return
        while mode == "held" and not os.path.exists(folder + "/go"):
            time.sleep(0.02)
        self.wfile.write(body[half:])
        while mode == "endless":
            self.wfile.write(bytes(1 << 20))

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are what is tested


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[4:6])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(port_file + ".new", "w") as f:
    print(server.server_port, file=f)
os.rename(port_file + ".new", port_file)
server.serve_forever()
