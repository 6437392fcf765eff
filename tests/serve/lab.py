"""A `luci serve` in a thread, with what clients asked it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from luci_dl.api.serve import serve
from luci_dl.cancel import CancelToken
from luci_dl.events import Event, ServeStarted
from luci_dl.net import retry
from luci_dl.serve import assembly
from tests.procs import wait_until
from tests.servers.hub import Hub


@contextmanager
def open_hub(patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub in the block, which luci asks; retries come at once."""
    patch.setattr(retry, "MAX_DELAY_S", 0.001)
    with Hub() as hub:
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@dataclass(frozen=True)
class Response:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """How the Hub calls a refusal."""
        return self.headers.get("X-Error-Code")


class Lab:
    """Serves in the block. `asked`: the requests of clients, as "GET /path"; `options`: of `api.serve`."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, **options: Any) -> None:
        self.asked: list[str] = []
        self.events: list[Event] = []
        self.token = CancelToken()
        self._thread = threading.Thread(target=self._serve, args=(folder, options))
        routes = assembly.routes
        patch.setattr(assembly, "routes", lambda desk: [self._noted(route) for route in routes(desk)])

    def _noted(self, route: web.RouteDef) -> web.RouteDef:
        async def handler(request: web.Request) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.raw_path}")
            answer: web.StreamResponse = await route.handler(request)
            return answer

        return web.RouteDef(route.method, route.path, handler, route.kwargs)

    def _serve(self, folder: Path, options: Mapping[str, Any]) -> None:
        serve(bind="127.0.0.1:0", folder=folder, token=self.token, emit=self.events.append, **options)

    @property
    def address(self) -> str:
        return next(event.address for event in self.events if isinstance(event, ServeStarted))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: any(isinstance(event, ServeStarted) for event in self.events), what="the server")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.token.cancel()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def ask(self, method: str, target: str, body: str | None = None, **headers: str) -> Response:
        """One request on a connection of its own; "_" in the name of a header stands for "-"."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, named)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, target: str, **headers: str) -> Response:
        return self.ask("GET", target, **headers)


def unfinished(folder: Path) -> list[str]:
    """Parts and journals in the models folder."""
    return sorted(path.name for path in (folder / ".luci").rglob("*") if path.suffix in (".part", ".journal"))


def installed_names(folder: Path) -> list[str]:
    """The files in the models folder, without luci's own."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and ".luci" not in path.parts)
