"""A small Hub: it answers for one file of one repository as the real one does, and the bytes come from nginx."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "bench/model"


@dataclass
class FakeHub:
    """A Hub that runs. `asked` is when (of time.monotonic) each of its requests came."""

    endpoint: str
    asked: list[float] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.endpoint}/{REPO}/resolve/main/{name}"


@contextmanager
def fake_hub(location: Callable[[], str], sha256: str, size: int) -> Iterator[FakeHub]:
    """Answer every file of REPO with a redirect to `location()`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append(time.monotonic())
            if not self.path.startswith(f"/{REPO}/resolve/"):
                self.send_error(404)
                return
            self.send_response(302)
            self.send_header("Location", location())
            self.send_header("X-Linked-Etag", f'"{sha256}"')
            self.send_header("X-Linked-Size", str(size))
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub = FakeHub(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), name="hub", daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()
