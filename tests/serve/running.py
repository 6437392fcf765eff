"""A `luci serve` in a process of its own, and questions to it."""

from __future__ import annotations

import http.client
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.nginx import free_port
from tests.procs import Spawned


@contextmanager
def serving(
    here: Path, *more: str, env: Mapping[str, str], port: int = 0, ended_by: int = signal.SIGTERM
) -> Iterator[str]:
    """A running `luci serve` with a home and a models folder in `here`. Yields: its address."""
    port = port or free_port()
    found = {"LUCI_HOME": str(here / "server"), **env}
    with Spawned("serve", "--bind", f"127.0.0.1:{port}", "--dir", here / "shelf", *more, env=found) as run:
        run.wait_for("Serving")
        yield f"http://127.0.0.1:{port}"
        run.signal(ended_by)
        assert run.wait() == -ended_by, run.err
        assert "Traceback" not in run.err


def ask(
    address: str, path: str, method: str = "GET", tls: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in lower case, and the body, as far as it came."""
    host = urlsplit(address).netloc
    connection = (
        http.client.HTTPSConnection(host, timeout=30, context=tls)
        if tls
        else http.client.HTTPConnection(host, timeout=30)
    )
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    try:
        body = response.read()
    except http.client.IncompleteRead as short:
        body = short.partial
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body
