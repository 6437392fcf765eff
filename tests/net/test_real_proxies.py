"""Requests through real proxies: squid, tinyproxy and microsocks. What each host received is counted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from luci_dl.errors import LuciError, NetworkError
from luci_dl.net import connections
from luci_dl.net.client import Client
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, body
from tests.net.daemons import microsocks, squid, tinyproxy
from tests.net.proxies import answering, socks4
from tests.servers import FaultyServer

USER = "me:p%40ss@"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A squid that lets only "me" through: host and port."""
    with squid(known_alone=True) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(params=["http", "https"])
def url(
    request: pytest.FixtureRequest,
    server: FaultyServer,
    tls_server: FaultyServer,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Of a file, on a server with TLS or without; in messages both sorts of way have to be as clear."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    return (tls_server if request.param == "https" else server).serve("/m.gguf", DATA)


@pytest.fixture
def received(server: FaultyServer, tls_server: FaultyServer) -> Callable[[], list[set[str]]]:
    """Which headers that are nobody else's business each request to a server carried."""
    private = {name.lower() for name in SECRET} | {"proxy-authorization"}
    return lambda: [private & exchange.headers.keys() for exchange in [*server.exchanges(), *tls_server.exchanges()]]


def dead(url: str) -> str:
    """The same way, to a port where nobody listens."""
    return url.partition(":")[0] + "://127.0.0.1:1/m.gguf"


def said(url: str) -> LuciError:
    with pytest.raises(LuciError) as caught:
        body(url)
    return caught.value


def test_squid_knows_the_user_and_the_server_does_not(
    guarded: str, url: str, received: Callable[[], list[set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is decoded for the proxy, and is sent to it alone; the server's token comes to the server."""
    monkeypatch.setenv("ALL_PROXY", f"http://{USER}{guarded}")
    assert body(url) == DATA
    assert received() == [{name.lower() for name in SECRET}]


@pytest.mark.parametrize(
    ("user", "what"),
    [("", "requires a user name and a password"), ("me:wrong@", "rejects the user name and password")],
)
def test_squid_s_refusal_names_squid(
    guarded: str,
    url: str,
    user: str,
    what: str,
    received: Callable[[], list[set[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not the server, which was not asked."""
    monkeypatch.setenv("ALL_PROXY", f"http://{user}{guarded}")
    assert said(url).message == f"the proxy {guarded} (ALL_PROXY) {what}"
    assert received() == []


def test_squid_finds_no_server(guarded: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own status is told, and that it was through it."""
    monkeypatch.setenv("ALL_PROXY", f"http://{USER}{guarded}")
    with pytest.raises(AttemptFailed, match=r"127\.0\.0\.1:1\b.* 503|503 .*127\.0\.0\.1:1\b") as caught:
        body(dead(url))
    assert f"the proxy {guarded} (ALL_PROXY)" in caught.value.reason
    assert "connection" not in caught.value.hint


def test_a_proxy_that_is_spoken_to_by_tls(ca: trustme.CA, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate is checked as any other, and named as its own; TLS goes through TLS."""
    with squid(tls=ca) as port:
        monkeypatch.setenv("ALL_PROXY", f"https://127.0.0.1:{port}")
        assert body(url) == DATA
        monkeypatch.delenv("SSL_CERT_FILE")
        assert said(url).message.startswith(f"the certificate of the proxy 127.0.0.1:{port} (ALL_PROXY) cannot be")


def test_tinyproxy_without_a_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers in HTTP/1.0."""
    with tinyproxy() as port:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{port}")
        assert body(url) == DATA


def test_tinyproxy_with_a_password(
    url: str, received: Callable[[], list[set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it, and without."""
    with tinyproxy("BasicAuth me p4ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        assert "requires a user name and a password" in said(url).message
        monkeypatch.setenv("ALL_PROXY", f"http://me:p4ss@127.0.0.1:{port}")
        assert body(url) == DATA
    assert received() == [{name.lower() for name in SECRET}]


def test_tinyproxy_lets_nobody_through_to_that_port(tls_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is final, and says whom to ask."""
    with tinyproxy("ConnectPort 443") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = said(tls_server.serve("/m.gguf", DATA))
    assert isinstance(error, NetworkError)
    place = f"127.0.0.1:{tls_server.port}"
    assert error.message.startswith(f"the proxy 127.0.0.1:{port} (HTTPS_PROXY) refuses to connect to {place}: 403 ")
    assert "NO_PROXY" in error.hint


# --- SOCKS


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
def test_socks5_with_a_password(
    url: str, scheme: str, received: Callable[[], list[set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are looked up here or there; the password is decoded."""
    with microsocks("-u", "me", "-P", "p@ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{USER}127.0.0.1:{port}")
        assert body(url.replace("127.0.0.1", "localhost")) == DATA
    assert received() == [{name.lower() for name in SECRET}]


def test_socks5_without_a_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of its variable may be that of the scheme, too."""
    with microsocks() as port:
        monkeypatch.setenv("HTTP_PROXY", f"socks5h://127.0.0.1:{port}")
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{port}")
        assert body(url) == DATA
        with pytest.raises(
            AttemptFailed, match=rf":{port} \(HTTPS?_PROXY\) cannot connect to 127\.0\.0\.1:1: .*refused"
        ):
            body(dead(url))


@pytest.mark.parametrize(
    ("user", "what"),
    [("", "requires a user name and a password"), ("me:wrong@", "rejects the user name and password")],
)
def test_socks5_s_refusal_names_the_proxy(url: str, user: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its variable."""
    with microsocks("-u", "me", "-P", "p@ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://{user}127.0.0.1:{port}")
        assert said(url).message == f"the proxy 127.0.0.1:{port} (ALL_PROXY) {what}"


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
def test_socks4(server: FaultyServer, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, or by name for the proxy to look up."""
    with socks4() as (port, requests):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        assert body(server.serve("/m.gguf", DATA).replace("127.0.0.1", "localhost")) == DATA
        assert (b"localhost" in requests[0]) == (scheme == "socks4a")


def test_socks4_says_no(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say why."""
    with socks4(granted=False) as (port, _):
        monkeypatch.setenv("ALL_PROXY", f"socks4a://127.0.0.1:{port}")
        with pytest.raises(AttemptFailed, match=r"cannot connect to 127\.0\.0\.1:\d+: Request rejected"):
            body(server.serve("/m.gguf", DATA))


def test_socks_where_nobody_listens(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is named."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(AttemptFailed, match=r"cannot connect to the proxy 127\.0\.0\.1:1 \(ALL_PROXY\): .*refused"):
        body(url)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"^the proxy .* does not speak socks5"),
        (b"", "^the connection to the proxy .* was lost"),
    ],
)
def test_what_is_no_socks_proxy_is_told(reply: bytes, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server, for instance."""
    with answering(reply) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        with pytest.raises((AttemptFailed, NetworkError), match=what):
            body("http://127.0.0.1:1/m.gguf")


def test_a_proxy_that_is_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it speaks; and the time that a connection may take is not exceeded."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https", "socks5"):
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(AttemptFailed, match=r"the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\) did not respond"):
                body("https://127.0.0.1:1/m.gguf", Client(connect_s=0.1))


def test_a_name_that_socks5_leaves_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """With socks5h the proxy would have looked it up."""
    with microsocks() as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        with pytest.raises(AttemptFailed, match=r"cannot resolve the name luci-dl\.invalid") as caught:
            body("http://luci-dl.invalid/m.gguf")
    assert "socks5h://" in caught.value.hint


def test_without_pysocks_there_is_a_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra."""
    monkeypatch.setattr(connections, "find_spec", lambda _name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    error = said("http://127.0.0.1:1/")
    assert "the proxy 127.0.0.1:1080 (ALL_PROXY) is a SOCKS proxy" in error.message
    assert 'pip install "luci-dl[socks]"' in error.hint
