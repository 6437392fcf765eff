"""Checks the connection to the servers: proxies, certificates, the servers themselves, and the clock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from luci_dl.cancel import start_thread
from luci_dl.doctor.findings import failure, ok, warning
from luci_dl.environment import variable
from luci_dl.errors import LuciError, NetworkError, StorageError
from luci_dl.events import Emit, Finding
from luci_dl.net.proxy import Proxy, proxy_for
from luci_dl.net.retry import AttemptFailed, http_date
from luci_dl.sources.base import SOURCES
from luci_dl.sources.endpoints import Endpoints, Server

CONNECT_S, READ_S = 5.0, 5.0
LONGEST_S = 15.0
"""Time limit for all servers together, in seconds, with redirects and further addresses."""
_SLOW_S = 3.0
_MAX_SKEW_S = 300.0
_MAX_BYTES = 1 << 20
_CHECK = "Check the connection, and whether a proxy is needed here."
_LATER = "Try again later."


def servers_of(endpoints: Endpoints) -> list[Server]:
    """The servers that an install may ask."""
    lan = [Server("a server on the LAN", f"{base}/luci/v1/status") for base in endpoints.lan]
    return [*lan, *(server for source in SOURCES for server in source.servers(endpoints))]


def check_proxies(servers: Sequence[Server]) -> Iterator[Finding]:
    """Every proxy on the way to the servers can be reached."""
    used: dict[Proxy | None, dict[str, None]] = {}
    for server in servers:
        used.setdefault(proxy_for(server.url), {})[urlsplit(server.url).netloc] = None
    for proxy, hosts in used.items():
        yield ok("proxy", f"none for {', '.join(hosts)}") if proxy is None else _reach_proxy(proxy, hosts)


def _reach_proxy(proxy: Proxy, hosts: Iterable[str]) -> Finding:
    from luci_dl.net.dial import dial

    start = time.monotonic()
    try:
        dial(proxy.host, proxy.port, CONNECT_S)[0].close()
    except OSError as error:
        hint = f"Check {proxy.variable}. List hosts to reach without a proxy in NO_PROXY."
        return failure("proxy", NetworkError(f"{proxy} cannot be reached: {error.strerror or error}", hint))
    return ok("proxy", f"{proxy} answers in {time.monotonic() - start:.2f} s, used for {', '.join(hosts)}")


def check_certificates() -> Iterator[Finding]:
    """The trusted certificates can be loaded."""
    from luci_dl.net.certificates import FOLDERS, named_files, trusted_certificates

    trusted = trusted_certificates()
    named = [f"{name}={path}" for name, path in (*named_files(), (FOLDERS, variable(os.environ, FOLDERS))) if path]
    count = trusted.cert_store_stats()["x509_ca"] if hasattr(trusted, "cert_store_stats") else 0
    message = f"{count} trusted authorities" if count else "the system's trust store"
    yield ok("trust", ", ".join([message, *named[:1]]))


def check_servers(servers: Sequence[Server], log: Emit | None) -> Iterator[Finding]:
    """Every server responds in time, accepts the token, and agrees about the time. All are asked at once."""
    requests = [_Request(server, log) for server in servers]
    deadline = time.monotonic() + LONGEST_S
    for request in requests:
        request.done.wait(max(0.0, deadline - time.monotonic()))
        yield request.finding
    skews = [request.skew for request in requests if request.skew is not None]
    if skews:
        yield _clock(min(skews, key=abs))


class _Request:
    """A request to one server, in its own thread, which may outlive the check.

    Attributes:
        finding: the result, until `done` that there was no response.
        skew: seconds that the clock here is ahead of the server's; None if unknown.
    """

    def __init__(self, server: Server, log: Emit | None) -> None:
        self.done = threading.Event()
        self.skew: float | None = None
        self._server = server
        self._log = log
        self._name = f"{server.name} ({urlsplit(server.url).netloc})"
        self.finding = self._failed(NetworkError(f"{self._name} did not respond within {LONGEST_S:.0f} s", _CHECK))
        try:
            start_thread(self._run, "luci-doctor")
        except StorageError as error:
            self.finding = self._failed(error)
            self.done.set()

    def _run(self) -> None:
        try:
            self.finding = self._ask()
        except AttemptFailed as attempt:
            self.finding = self._failed(NetworkError(f"{self._name}: {attempt.reason}", attempt.hint or _CHECK))
        except LuciError as error:
            self.finding = self._failed(error)
        finally:
            self.done.set()

    def _failed(self, error: LuciError) -> Finding:
        if self._server.needed:
            return failure("reach", error)
        return warning("reach", error.message, error.hint)

    def _ask(self) -> Finding:
        from luci_dl.net.client import Client  # slow to load, so on this thread

        start = time.monotonic()
        document = Client(CONNECT_S, READ_S, self._log).document(self._server.url, self._server.headers, _MAX_BYTES)
        seconds = time.monotonic() - start
        document.refuse_web_page()
        if sent := http_date(document.headers.get("date", "")):
            self.skew = (datetime.now(UTC) - sent).total_seconds()
        if document.status >= 500:
            return self._failed(NetworkError(f"{self._name} answered {document.status}: server error", _LATER))
        if self._server.headers and document.status in (401, 403):
            return warning("reach", f"{self._name} rejects the token", "Create a new token and set HF_TOKEN to it.")
        accepted = ", and accepts the token" if self._server.headers else ""
        message = f"{self._name} answers in {seconds:.2f} s{accepted}"
        if seconds > _SLOW_S:
            return warning("reach", message, "That is slow: is the connection busy?")
        return ok("reach", message)


def _clock(skew: float) -> Finding:
    if abs(skew) <= _MAX_SKEW_S:
        return ok("clock", "agrees with the servers")
    direction = "ahead of" if skew > 0 else "behind"
    hint = "Set the clock: certificates are valid only within their dates."
    return warning("clock", f"{abs(skew) / 60:.0f} minutes {direction} the servers' clock", hint)
