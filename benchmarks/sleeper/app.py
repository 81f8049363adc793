"""Answers at once, after a boot of $BOOT seconds, in which it listens nowhere."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(float(os.environ.get("BOOT", "0")))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # 5 by itself: the sixth of those who come at once would wait a second


if sys.argv[1:] == ["worker"]:
    signal.pause()
Server(("", int(os.environ["PORT"])), Handler).serve_forever()
