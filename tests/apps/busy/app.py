"""Answers; and asks on behalf of whoever tests it: `/ask?method=PUT&url=…` tells what that answered."""

import os
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        said = parse_qs(url.query)
        text = f"{os.environ['PAAS_PROCESS']} {os.environ.get('PAAS_API', '')}"
        if url.path == "/ask":
            text = ask(said["method"][0], said["url"][0])
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def ask(method: str, url: str) -> str:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"0 {error}"


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = False


Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
