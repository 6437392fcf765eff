"""A file is sent while it is fetched; bytes that turn out wrong are never sent to the end."""

from __future__ import annotations

import asyncio
import http.client
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from luci_dl.cancel import CancelToken
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.events import Event
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import Copies
from luci_dl.model import Artifact, Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from luci_dl.serve.pull import Pull
from luci_dl.serve.sending import Answer, head, send
from tests.disk.hands import digest_of
from tests.procs import wait_until
from tests.servers import FaultyServer, faults

DATA = make_gguf(6_000_000)
WRONG = DATA[:3_000_000] + b"x" + DATA[3_000_001:]
ETAG = f'"{digest_of(DATA)}"'
Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


def pulled(folder: Path, url: str, data: bytes = DATA, **options: Any) -> Pull:
    """A pull that has begun."""
    artifact = Artifact("m.gguf", (url,), len(data), digest_of(data))
    copies = Copies(os.environ, (), (), caches=False, emit=lambda _event: None)
    plan = Plan(Model(url, (artifact,)), folder)
    chosen = Options(min_free=0, keep_partial=True, **options)
    events = list[Event]()
    return Pull(plan, InstallContext(chosen, Network(), copies, CancelToken(), events.append), lambda _pull: None)


@contextmanager
def serving(handler: Handler) -> Iterator[int]:
    """The handler at every path of a server, in a thread. Yields: its port."""
    loop, ports = asyncio.new_event_loop(), list[int]()

    async def run() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        return runner

    runner = loop.run_until_complete(run())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield ports[0]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def sending(pull: Pull, whole: bool = False) -> Iterator[int]:
    answer = Answer(pull.size, ETAG, {}, whole)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return head(request, answer)
        return await send(request, answer, pull, lambda _count: None)

    with serving(handler) as port:
        yield port
    pull.stop()
    assert pull.wait(20)


def get(port: int, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes | None]:
    """Status, headers, and the body; None in its place if it was cut short."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, "/m.gguf", headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    try:
        body: bytes | None = response.read()
    except (http.client.IncompleteRead, ConnectionError):
        body = None
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def test_many_clients_get_the_file_while_it_is_fetched_once(server: FaultyServer, tmp_path: Path) -> None:
    """All of it, and the server upstream was asked for it once."""
    url = server.serve("/m.gguf", DATA, [faults.trickle(3_000_000)])
    pull = pulled(tmp_path, url, connections=1)
    with sending(pull) as port, ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(get, port) for _ in range(8)]]
    assert all(body == DATA for _, _, body in answers)
    assert {(status, headers["etag"], headers["content-length"]) for status, headers, _ in answers} == {
        (200, ETAG, str(len(DATA)))
    }
    assert len(server.exchanges()) == 1
    assert (tmp_path / "m.gguf").read_bytes() == DATA


def test_bytes_come_before_the_file_is_complete(server: FaultyServer, tmp_path: Path) -> None:
    """All but the last of them."""
    url = server.serve("/m.gguf", DATA, [faults.stall(4_000_000)])
    pull = pulled(tmp_path, url, connections=1)
    with sending(pull) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/m.gguf")
        with connection.getresponse() as response:
            assert response.read(3_000_000) == DATA[:3_000_000]
        connection.close()


def test_the_last_bytes_wait_for_the_proof(server: FaultyServer, tmp_path: Path) -> None:
    """Nobody has a whole wrong file, whatever it checks."""
    url = server.serve("/m.gguf", WRONG)
    pull = pulled(tmp_path, url, connections=1)
    with sending(pull) as port, ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(get, port) for _ in range(4)]]
    assert all(body is None or status >= 500 for status, _, body in answers)
    assert pull.error
    assert not (tmp_path / "m.gguf").exists()


def test_a_range_gets_just_its_bytes(server: FaultyServer, tmp_path: Path) -> None:
    """From the file, or from one that is fetched."""
    pull = pulled(tmp_path, server.serve("/m.gguf", DATA))
    with sending(pull) as port:
        for text, start, end in [
            ("bytes=5-9", 5, 10),
            ("bytes=5999990-", 5_999_990, len(DATA)),
            ("bytes=-4", -4, None),
        ]:
            status, headers, body = get(port, Range=text)
            assert (status, body) == (206, DATA[start:end])
            assert headers["content-range"].endswith(f"/{len(DATA)}")
        assert get(port, Range=f"bytes={len(DATA)}-")[0] == 416
        assert get(port, Range="bytes=5-9", If_Range='"other"')[0] == 200
        assert get(port, Range="bytes=5-9", If_Range=ETAG)[0] == 206
        assert get(port, "HEAD")[1]["content-length"] == str(len(DATA))


def test_a_client_with_bytes_of_a_wrong_attempt_begins_again(server: FaultyServer, tmp_path: Path) -> None:
    """A range alone may be the rest of a wrong file; If-Range shows that it is not."""
    pull = pulled(tmp_path, server.serve("/m.gguf", DATA))
    with sending(pull, whole=True) as port:
        assert get(port, Range="bytes=5-9")[::2] == (200, DATA)
        assert get(port, Range="bytes=5-9", If_Range=ETAG)[::2] == (206, DATA[5:10])


def test_a_range_far_ahead_comes_soon(server: FaultyServer, tmp_path: Path) -> None:
    """The fetch jumps there, and comes back."""
    url = server.serve("/m.gguf", DATA, [faults.trickle(1_000_000)])
    pull = pulled(tmp_path, url, connections=1)
    with sending(pull) as port:
        wait_until(lambda: pull.readable(0) > 0)
        began = time.monotonic()
        assert get(port, Range="bytes=5000000-5000999")[2] == DATA[5_000_000:5_001_000]
        assert pull.readable(0) < 4_000_000, time.monotonic() - began
        assert get(port)[2] == DATA
