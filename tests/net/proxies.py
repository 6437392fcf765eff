"""Small proxies on the loopback: one forwards plain requests and tunnels TLS by CONNECT, one speaks SOCKS 4."""

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
    """Remembers its requests: the method, target and credentials of each, and all headers.

    Args:
        authorization: the Proxy-Authorization that every request must have.
        offered: the value of Proxy-Authenticate.
        status: returned for every request; None to forward them.
        reason: sent with that status.
    """

    daemon_threads = True

    def __init__(
        self,
        authorization: str | None = None,
        offered: str = 'Basic realm="a, b"',
        status: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authorization = authorization
        self.offered = offered
        self.status = status
        self.reason = reason
        self.asked: list[tuple[str, str, str | None]] = []
        self.headers: list[dict[str, str]] = []

    def address(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def proxy(
    authorization: str | None = None,
    offered: str = 'Basic realm="a, b"',
    status: int | None = None,
    reason: str | None = None,
) -> Iterator[Proxy]:
    with Proxy(authorization, offered, status, reason) as server:
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
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.status:
            self.send_response(self.server.status, self.server.reason)
            self.send_header("Retry-After", "7")
        elif self.server.authorization in (None, credentials):
            return False
        else:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", self.server.offered)
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
    """Forward bytes in both directions until one side ends."""
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


@contextlib.contextmanager
def socks4(granted: bool = True) -> Iterator[tuple[int, list[bytes]]]:
    """A SOCKS 4 proxy for one connection: its port, and the requests that it got."""
    requests: list[bytes] = []
    ends: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            ends.append(client)
            requests.append(request := client.recv(1 << 10))
            port, number = int.from_bytes(request[2:4], "big"), request[4:8]
            name = request.split(b"\0")[-2].decode() if number[:3] == b"\0\0\0" else socket.inet_ntoa(number)
            client.sendall(bytes([0, 0x5A if granted else 0x5B]) + bytes(6))
            if granted:
                with socket.create_connection((name, port)) as there:
                    _pump(client, there)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, name="socks4")
        thread.start()
        yield listener.getsockname()[1], requests
        for end in [listener, *ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextlib.contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """The port of a server that sends `reply` to whatever comes, once."""

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            client.recv(1 << 10)
            client.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, name="answering")
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
