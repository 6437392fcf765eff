"""The way to the servers: proxies, certificates, and whether the Hub and the registry answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from luci_dl.doctor.examine import doubt, fault, fine
from luci_dl.errors import LuciError, NetworkError
from luci_dl.events import Emit, Finding
from luci_dl.net.proxy import Proxy, proxy_for
from luci_dl.net.retry import AttemptFailed
from luci_dl.sources.base import SOURCES
from luci_dl.sources.endpoints import Endpoints, Server

CONNECT_S, READ_S = 5.0, 5.0
LONGEST_S = 15.0
"""Nobody is waited for longer than that, in seconds, however many redirects and addresses there are."""
_SLOW_S = 3.0
_CLOCK_S = 300.0
_AT_MOST = 1 << 20
_CHECK = "Check the connection, and whether a proxy is needed here."
_LATER = "Try again later."


def servers_of(endpoints: Endpoints) -> list[Server]:
    """The servers that an install may ask."""
    return [server for source in SOURCES for server in source.servers(endpoints)]


def check_proxies(servers: Sequence[Server]) -> Iterator[Finding]:
    """Which one leads to whom, and whether it can be reached."""
    used: dict[Proxy | None, dict[str, None]] = {}
    for server in servers:
        used.setdefault(proxy_for(server.url), {})[urlsplit(server.url).netloc] = None
    for proxy, hosts in used.items():
        if proxy is None:
            yield fine("proxy", f"none on the way to {', '.join(hosts)}")
        else:
            yield from _reach_proxy(proxy, hosts)


def _reach_proxy(proxy: Proxy, hosts: Iterable[str]) -> Iterator[Finding]:
    from luci_dl.net.dial import dial

    began = time.monotonic()
    try:
        dial(proxy.host, proxy.port, CONNECT_S).close()
    except OSError as error:
        hint = f"Is {proxy.variable} right? Name hosts that are to be reached without a proxy in NO_PROXY."
        yield fault("proxy", NetworkError(f"{proxy} cannot be reached: {error.strerror or error}", hint))
    else:
        yield fine("proxy", f"{proxy} answers in {time.monotonic() - began:.2f} s, on the way to {', '.join(hosts)}")


def check_certificates() -> Iterator[Finding]:
    """Those that servers' certificates are held against can be loaded."""
    from luci_dl.net.certificates import FILES, FOLDERS, trusted_certificates

    trusted = trusted_certificates()
    named = [f"{name}={os.environ[name]}" for name in (*FILES, FOLDERS) if os.environ.get(name)]
    count = trusted.cert_store_stats()["x509_ca"] if hasattr(trusted, "cert_store_stats") else 0
    told = f"{count} authorities are trusted" if count else "the system's trust store"
    yield fine("trust", ", ".join([told, *named[:1]]))


def check_servers(servers: Sequence[Server], log: Emit | None) -> Iterator[Finding]:
    """All are asked at once; one that says nothing in time is given up."""
    errands = [_Errand(server, log) for server in servers]
    deadline = time.monotonic() + LONGEST_S
    for errand in errands:
        errand.done.wait(max(0.0, deadline - time.monotonic()))
        yield errand.found
    ahead = [errand.ahead for errand in errands if errand.ahead is not None]
    if ahead:
        yield _clock(min(ahead, key=abs))


class _Errand:
    """One server is asked, beside the calling thread.

    Attributes:
        found: what there is to say of it, as things are now.
        ahead: seconds that the clock here is ahead of the server's; None where that did not tell.
    """

    def __init__(self, server: Server, log: Emit | None) -> None:
        self.done = threading.Event()
        self.ahead: float | None = None
        self._server = server
        self._log = log
        self._place = f"{server.name} ({urlsplit(server.url).netloc})"
        self.found = self._trouble(NetworkError(f"{self._place} says nothing for {LONGEST_S:.0f} s", _CHECK))
        threading.Thread(target=self._run, name="luci-doctor", daemon=True).start()

    def _run(self) -> None:
        try:
            self.found = self._ask()
        except AttemptFailed as failure:
            self.found = self._trouble(NetworkError(f"{self._place}: {failure.reason}", failure.hint or _CHECK))
        except LuciError as error:
            self.found = self._trouble(error)
        finally:
            self.done.set()

    def _trouble(self, error: LuciError) -> Finding:
        if self._server.needed:
            return fault("reach", error)
        return doubt("reach", error.message, error.hint)

    def _ask(self) -> Finding:
        from luci_dl.net.client import Client  # slow to load, so on this thread

        began = time.monotonic()
        answer = Client(CONNECT_S, READ_S, self._log).document(self._server.url, self._server.headers, _AT_MOST)
        seconds = time.monotonic() - began
        self.ahead = _ahead(answer.headers.get("date", ""))
        if answer.status >= 500:
            return self._trouble(NetworkError(f"{self._place} answers {answer.status}: it has trouble itself", _LATER))
        if self._server.headers and answer.status in (401, 403):
            hint = "Make a new one where you have your account, and put it into HF_TOKEN."
            return doubt("reach", f"{self._place} answers, and does not accept the token", hint)
        told = f"{self._place} answers in {seconds:.2f} s{', and accepts the token' if self._server.headers else ''}"
        return doubt("reach", told, "That is slow: is the line busy?") if seconds > _SLOW_S else fine("reach", told)


def _ahead(date: str) -> float | None:
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    if there.tzinfo is None:
        return None
    return (datetime.now(UTC) - there).total_seconds()


def _clock(ahead: float) -> Finding:
    if abs(ahead) <= _CLOCK_S:
        return fine("clock", "as the servers have it")
    way = "ahead of" if ahead > 0 else "behind"
    hint = "Set it: certificates are not believed before or after their time."
    return doubt("clock", f"{abs(ahead) / 60:.0f} minutes {way} the servers' clock", hint)
