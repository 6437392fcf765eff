"""The demo's server: files on the loopback interface, with ranges, at a limited rate."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from luci_dl.cancel import start_thread

_BLOCK = 1 << 17


class DemoServer(ThreadingHTTPServer):
    """Serves `files` by name, at `rate` bytes per second and connection, until the context ends."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, files: Mapping[str, bytes], rate: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.rate = rate
        self._sent: dict[str, int] = {}
        start_thread(partial(self.serve_forever, 0.05), "demo-server")

    def url(self, name: str) -> str:
        """The address of that file."""
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def sent(self, name: str) -> int:
        """How many bytes of that file were sent so far."""
        return self._sent.get(f"/{name}", 0)

    def count(self, path: str, sent: int) -> None:
        """Add to the bytes sent."""
        self._sent[path] = self._sent.get(path, 0) + sent

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: the demo interrupts its clients."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DemoServer

    def do_GET(self) -> None:
        data = self.server.files.get(self.path[1:])
        if data is None:
            self.send_error(404)
            return
        size = len(data)
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(requested[1]), min(size, int(requested[2] or size) + 1)) if requested else (0, size)
        if start >= end:
            self.send_error(416)
            return
        self.send_response(206 if requested else 200)
        if requested:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"demo"')
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        for position in range(start, end, _BLOCK):
            block = data[position : min(end, position + _BLOCK)]
            self.wfile.write(block)
            self.server.count(self.path, len(block))
            time.sleep(len(block) / self.server.rate)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
