import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


http.server.ThreadingHTTPServer(("0.0.0.0", 3456), Handler).serve_forever()
