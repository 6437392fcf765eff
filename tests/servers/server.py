"""A threaded HTTP/1.1 server on the loopback that answers honestly, save for the faults it is told."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import trustme

from tests.servers.faults import Fault, ok
from tests.servers.honest import Answer, File, Request

BLOCK = 1 << 16
POLL_S = 0.05


@dataclass
class Exchange:
    """One request as the server saw it.

    Attributes:
        headers: by name in lower case.
        at: when, by the server's clock.
        sent: bytes of the body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    status: int
    at: float
    sent: int = 0


class FaultyServer:
    """Serves files until closed; also a context manager.

    Args:
        tls: the authority that signs the server's certificate for localhost and 127.0.0.1; None for plain HTTP.
        clock: the time in seconds.

    Attributes:
        stalled: set once an answer has come to a stall.
        connections: accepted so far.
    """

    def __init__(self, tls: trustme.CA | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stalled = threading.Event()
        self.connections = 0
        self._clock = clock
        self._tls = _context(tls) if tls else None
        self._released = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._files: dict[str, tuple[File, list[Fault]]] = {}
        self._log: list[Exchange] = []
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="server-accept")
        self._acceptor.start()

    def url(self, target: str, host: str = "127.0.0.1") -> str:
        """The address of `target`; `host="localhost"` is another host to a client."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{target}"

    def serve(self, target: str, data: bytes = b"", faults: Sequence[Fault] = ()) -> str:
        """Serve `data` at `target`, each request with the next of `faults`; the last one stays. Returns the address."""
        with self._lock:
            self._files[target] = File.of(data), list(faults) or [ok()]
        return self.url(target)

    def exchanges(self, target: str | None = None) -> list[Exchange]:
        """The requests so far, oldest first."""
        with self._lock:
            return [exchange for exchange in self._log if target in (None, exchange.target)]

    def sent(self, target: str | None = None) -> int:
        """Bytes of bodies sent so far."""
        return sum(exchange.sent for exchange in self.exchanges(target))

    def release(self) -> None:
        """Let every stalled answer go on, now and later."""
        self._released.set()

    def close(self) -> None:
        """Drop every connection and wait for every thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._released.set()
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes the acceptor, everywhere
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
            for connection in connections:
                with contextlib.suppress(OSError):  # past the TLS layer, which another thread is using
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- one thread accepts, one for each connection answers

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closed.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two sends
            thread = threading.Thread(target=self._talk, args=(connection,), name="server-connection")
            with self._lock:
                self.connections += 1
                self._connections[connection] = thread
            thread.start()

    def _talk(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls:
                connection = self._wrap(plain, self._tls)
            with connection.makefile("rb") as reader:
                while (request := _read_request(reader)) and self._answer(connection, request):
                    pass
        except (OSError, http.client.HTTPException):  # the client went away, or does not trust us
            pass
        finally:
            with self._lock:
                self._connections.pop(connection, None)
                connection.close()

    def _wrap(self, plain: socket.socket, context: ssl.SSLContext) -> socket.socket:
        """The same connection under TLS (`plain` loses its descriptor to it); the first read does the handshake."""
        with self._lock:
            thread = self._connections.pop(plain)
            connection = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._connections[connection] = thread
        return connection

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request. Returns: True when the connection lives on."""
        answer = self._decide(request)
        exchange = Exchange(request.method, request.target, request.headers, answer.status, self._clock())
        with self._lock:
            self._log.append(exchange)
        try:
            if answer.stall_head:
                self._stall(connection)
            if answer.raw is not None:
                connection.sendall(answer.raw)
            else:
                connection.sendall(answer.head(_head(answer)))
                if request.method != "HEAD":
                    self._send_body(connection, answer, exchange)
        finally:
            for done in answer.done:
                done()
        return self._end(connection, answer, request)

    def _decide(self, request: Request) -> Answer:
        with self._lock:
            found = self._files.get(request.target) or self._files.get(request.target.partition("?")[0])
            if found is None:
                return Answer(404)
            file, faults = found
            fault = faults.pop(0) if len(faults) > 1 else faults[0]
        return fault.answer(request, file)

    def _send_body(self, connection: socket.socket, answer: Answer, exchange: Exchange) -> None:
        body = memoryview(answer.body)
        self._send(connection, answer, exchange, body[: answer.stop])
        if answer.ending == "stall":
            self._stall(connection)
        elif answer.stop is not None and answer.ending in ("fin", "reset"):
            return
        if answer.stop is not None:
            self._send(connection, answer, exchange, body[answer.stop :])
        while answer.endless:
            self._send(connection, answer, exchange, memoryview(bytes(BLOCK)))
        if answer.framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
        connection.sendall(answer.tail)

    def _send(self, connection: socket.socket, answer: Answer, exchange: Exchange, body: memoryview) -> None:
        step = BLOCK if answer.rate is None else max(1, int(answer.rate / 20))
        for start in range(0, len(body), step):
            block = bytes(body[start : start + step])
            with self._lock:
                exchange.sent += len(block)
            connection.sendall(_chunk(answer, block) if answer.framing == "chunked" else block)
            if answer.rate is not None and self._closed.wait(step / answer.rate):
                return

    def _stall(self, connection: socket.socket) -> None:
        self.stalled.set()
        while not self._released.wait(POLL_S):
            with contextlib.suppress(BlockingIOError):  # past the TLS layer
                if not socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    raise ConnectionAbortedError
        if self._closed.is_set():
            raise ConnectionAbortedError

    def _end(self, connection: socket.socket, answer: Answer, request: Request) -> bool:
        if answer.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return (
            answer.ending not in ("fin", "reset")
            and answer.framing != "close"
            and request.headers.get("connection", "").lower() != "close"
        )


def _read_request(reader: io.BufferedIOBase) -> Request | None:
    """The next request on the connection; None at its end."""
    words = reader.readline(BLOCK).decode("latin-1").split()
    if len(words) != 3:
        return None
    headers = {name.lower(): value for name, value in http.client.parse_headers(reader).items()}
    return Request(words[0], words[1], headers)


def _chunk(answer: Answer, block: bytes) -> bytes:
    size = answer.chunk_line % len(block) if b"%" in answer.chunk_line else answer.chunk_line
    return size + block + b"\r\n"


def _head(answer: Answer) -> bytes:
    headers = dict(answer.headers)
    if answer.framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    elif answer.framing == "close":
        headers["Connection"] = "close"
    else:
        headers.setdefault("Content-Length", str(len(answer.body)))
    reason = http.client.responses.get(answer.status, "Unknown")
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
