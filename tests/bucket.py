"""moto's S3 on the loopback, with a gate before it that refuses what moto lets pass."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY, SECRET = "AKIDLUCITEST", "a-very-secret-key/of-luci"
BUCKET = "models"
STATUS = {"PermanentRedirect": "301 Moved Permanently", "AuthorizationQueryParametersError": "400 Bad Request"}
Refuse = Callable[["Call"], "str | None"]


@dataclass(frozen=True)
class Call:
    """A request to the store; `number` counts those of its method from 1."""

    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    key: str
    number: int

    @property
    def expires(self) -> datetime | None:
        """When its signature ends; None if that is in a header."""
        if "X-Amz-Date" not in self.query:
            return None
        begin = datetime.strptime(self.query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return begin + timedelta(seconds=int(self.query["X-Amz-Expires"]))


class Store:
    """The store, with one bucket.

    Attributes:
        calls: all requests so far.
        refuse: returns the code of an error, or None, for each request.
        cut: bytes of the next response to a GET after which the connection ends; None for no such end.
        pause: called before a response is cut.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Silent)
        self.address = f"http://127.0.0.1:{self._server.port}"
        self._lock, self._moto = threading.Lock(), threading.Lock()
        self.reset()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        self.calls: list[Call] = []
        self.refuse: Refuse = lambda _call: None
        self.cut: int | None = None
        self.pause: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Nothing but an empty bucket."""
        self.reset()
        self._ask("POST", "/moto-api/reset")
        self._ask("PUT", f"/{BUCKET}")
        self.reset()

    def put(self, key: str, data: bytes) -> None:
        self._ask("PUT", f"/{BUCKET}/{key}", data)

    def get(self, key: str) -> bytes:
        return self._ask("GET", f"/{BUCKET}/{key}")

    def keys(self) -> list[str]:
        text = self._ask("GET", f"/{BUCKET}?list-type=2").decode()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    def unfinished(self) -> int:
        """How many uploads in parts were neither completed nor aborted."""
        return self._ask("GET", f"/{BUCKET}?uploads").count(b"<UploadId>")

    def manifest(self, place: str) -> Any:
        return json.loads(self.get(f"{place}/luci.json"))

    def asked(self, method: str) -> list[str]:
        """The paths of the requests so far, without the bucket."""
        return [call.path.removeprefix(f"/{BUCKET}/") for call in self.calls if call.method == method]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call = self._noted(environ)
        code = call and self.refuse(call)
        code = code or (call and _objection(call))
        if code:
            body = f"<Error><Code>{code}</Code><Message>Refused, says the gate.</Message></Error>".encode()
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(
                STATUS.get(code, "403 Forbidden"),
                [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))],
            )
            return [body]
        with self._moto:  # which fails when two threads write the same key
            answer: Iterable[bytes] = self._app(environ, start_response)
        if call and call.method == "GET" and self.cut is not None:
            at, self.cut = self.cut, None
            return self._cut(b"".join(answer), at)
        return answer

    def _cut(self, body: bytes, at: int) -> Iterator[bytes]:
        yield body[:at]
        self.pause()

    def _noted(self, environ: dict[str, Any]) -> Call | None:
        """The call; None for one of ours."""
        if "HTTP_X_TEST" in environ:
            return None
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"], True).items()}
        credential = query.get("X-Amz-Credential") or environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            number = 1 + sum(call.method == method for call in self.calls)
            call = Call(method, path, query, credential.partition("/")[0], number)
            self.calls.append(call)
        return call

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        credential = f"Credential={KEY}/20260101/us-east-1/s3/aws4_request"
        kind = "application/octet-stream"  # else Flask takes it for a form
        headers = {"X-Test": "1", "Content-Type": kind, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            body: bytes = response.read()
            return body


class _Silent(WSGIRequestHandler):
    def log(self, *_args: object) -> None:
        pass


def _objection(call: Call) -> str | None:
    if call.key != KEY:
        return "InvalidAccessKeyId" if call.key else "AccessDenied"
    return "AccessDenied" if call.expires and call.expires < datetime.now(UTC) else None


@contextmanager
def running() -> Iterator[Store]:
    store = Store()
    try:
        yield store
    finally:
        store.close()
