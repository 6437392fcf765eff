"""A small proxy on the loopback: forwards plain requests, and tunnels TLS by CONNECT."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy(ThreadingHTTPServer):
    """Remembers what it was asked: method, target and credentials of each request.

    Args:
        authorization: the Proxy-Authorization without which everything is refused.
    """

    daemon_threads = True

    def __init__(self, authorization: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authorization = authorization
        self.asked: list[tuple[str, str, str | None]] = []

    def address(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def proxy(authorization: str | None = None) -> Iterator[Proxy]:
    with Proxy(authorization) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="proxy")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def _is_refused(self) -> bool:
        credentials = self.headers.get("Proxy-Authorization")
        self.server.asked.append((self.command, self.path, credentials))
        if self.server.authorization in (None, credentials):
            return False
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def do_CONNECT(self) -> None:
        if self._is_refused():
            return
        host, port = self.path.split(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            _pump(self.connection, there)
        self.close_connection = True

    def do_GET(self) -> None:
        if self._is_refused():
            return
        parts = urlsplit(self.path)
        there = http.client.HTTPConnection(parts.netloc)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        there.request("GET", parts.path, headers=headers)
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        there.close()

    def log_message(self, *args: object) -> None:
        pass


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    ways = {one: other, other: one}
    while True:
        for source in select.select(list(ways), [], [])[0]:
            try:
                block = source.recv(1 << 16)
                ways[source].sendall(block)
            except OSError:
                return
            if not block:
                return
