"""An app small enough to write down: it answers every request with one text."""

from __future__ import annotations

from pathlib import Path

APP = """
import http.server, os, time
time.sleep({boot})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{text}")
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def write(folder: Path, text: str, boot: float = 0) -> Path:
    """The app's folder; it listens `boot` seconds after its start."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(APP.format(text=text, boot=boot))
    (folder / "Procfile").write_text("web: python app.py\n")
    (folder / "requirements.txt").write_text("")
    return folder
