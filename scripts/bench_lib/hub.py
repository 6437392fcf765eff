"""A small Hub: it answers for one file of one repository as the real one does, and the bytes come from nginx."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "bench/model"


@contextmanager
def fake_hub(location: str, sha256: str, size: int) -> Iterator[str]:
    """Answer every file of REPO with a redirect to `location`. Yields the endpoint."""
    headers = {
        "Location": location,
        "X-Linked-Etag": f'"{sha256}"',
        "X-Linked-Size": str(size),
        "X-Repo-Commit": "0" * 40,
        "Content-Length": "0",
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(f"/{REPO}/resolve/"):
                self.send_error(404)
                return
            self.send_response(302)
            for header in headers.items():
                self.send_header(*header)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), name="hub", daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
