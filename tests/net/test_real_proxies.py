"""Requests through real proxies: squid, tinyproxy and microsocks. The tests check what each host received."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from luci_dl.errors import LuciError, NetworkError
from luci_dl.net import connections
from luci_dl.net.client import Client
from luci_dl.net.proxy import INSTALL_SOCKS
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, body
from tests.net.daemons import microsocks, squid, tinyproxy
from tests.net.proxies import answering, socks4
from tests.servers import FaultyServer

USER = "me:p%40ss@"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The host and port of a squid that accepts only the user "me"."""
    with squid(only_known=True) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(params=["http", "https"])
def url(
    request: pytest.FixtureRequest,
    server: FaultyServer,
    tls_server: FaultyServer,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The address of a file, on a server with or without TLS: messages have to be clear for both."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    return (tls_server if request.param == "https" else server).serve("/m.gguf", DATA)


@pytest.fixture
def received(server: FaultyServer, tls_server: FaultyServer) -> Callable[[], list[set[str]]]:
    """The private headers of each request to a server."""
    private = {name.lower() for name in SECRET} | {"proxy-authorization"}
    return lambda: [private & exchange.headers.keys() for exchange in [*server.exchanges(), *tls_server.exchanges()]]


def dead(url: str) -> str:
    """An address with the same scheme where nothing listens."""
    return url.partition(":")[0] + "://127.0.0.1:1/m.gguf"


def said(url: str) -> LuciError:
    with pytest.raises(LuciError) as caught:
        body(url)
    return caught.value


def test_squid_gets_its_credentials_and_the_server_does_not(
    guarded: str, url: str, received: Callable[[], list[set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoded password is sent only to the proxy, and the server's token to the server."""
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
    """The server is not named, and gets no request."""
    monkeypatch.setenv("ALL_PROXY", f"http://{user}{guarded}")
    assert said(url).message == f"the proxy {guarded} (ALL_PROXY) {what}"
    assert received() == []


def test_squid_cannot_connect_to_the_server(guarded: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has squid's status, and squid."""
    monkeypatch.setenv("ALL_PROXY", f"http://{USER}{guarded}")
    with pytest.raises(AttemptFailed, match=r"127\.0\.0\.1:1\b.* 503|503 .*127\.0\.0\.1:1\b") as caught:
        body(dead(url))
    assert f"the proxy {guarded} (ALL_PROXY)" in caught.value.reason
    assert "connection" not in caught.value.hint


def test_a_proxy_that_speaks_tls(ca: trustme.CA, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate is verified and named as the proxy's. TLS works through TLS."""
    with squid(tls=ca) as port:
        monkeypatch.setenv("ALL_PROXY", f"https://127.0.0.1:{port}")
        assert body(url) == DATA
        monkeypatch.delenv("SSL_CERT_FILE")
        assert said(url).message.startswith(f"the certificate of the proxy 127.0.0.1:{port} (ALL_PROXY) cannot be")


def test_tinyproxy_without_a_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It speaks HTTP/1.0."""
    with tinyproxy() as port:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{port}")
        assert body(url) == DATA


def test_tinyproxy_with_a_password(
    url: str, received: Callable[[], list[set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without sending it."""
    with tinyproxy("BasicAuth me p4ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        assert "requires a user name and a password" in said(url).message
        monkeypatch.setenv("ALL_PROXY", f"http://me:p4ss@127.0.0.1:{port}")
        assert body(url) == DATA
    assert received() == [{name.lower() for name in SECRET}]


def test_tinyproxy_refuses_a_port(tls_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is not retried, and says whom to ask."""
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
    """Names are resolved here or by the proxy; the password is decoded."""
    with microsocks("-u", "me", "-P", "p@ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{USER}127.0.0.1:{port}")
        assert body(url.replace("127.0.0.1", "localhost")) == DATA
    assert received() == [{name.lower() for name in SECRET}]


def test_socks5_without_a_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of the scheme works as well."""
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
    """With its variable."""
    with microsocks("-u", "me", "-P", "p@ss") as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://{user}127.0.0.1:{port}")
        assert said(url).message == f"the proxy 127.0.0.1:{port} (ALL_PROXY) {what}"


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
def test_socks4(server: FaultyServer, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By IP address, or by a name that the proxy resolves."""
    with socks4() as (port, requests):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        assert body(server.serve("/m.gguf", DATA).replace("127.0.0.1", "localhost")) == DATA
        assert (b"localhost" in requests[0]) == (scheme == "socks4a")


def test_socks4_refuses(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives no reason."""
    with socks4(granted=False) as (port, _):
        monkeypatch.setenv("ALL_PROXY", f"socks4a://127.0.0.1:{port}")
        with pytest.raises(AttemptFailed, match=r"cannot connect to 127\.0\.0\.1:\d+: Request rejected"):
            body(server.serve("/m.gguf", DATA))


def test_socks_proxy_that_is_not_running(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_server_that_speaks_no_socks_is_an_error(reply: bytes, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For instance a web server."""
    with answering(reply) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        with pytest.raises((AttemptFailed, NetworkError), match=what):
            body("http://127.0.0.1:1/m.gguf")


def test_a_proxy_that_does_not_respond_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With any protocol, after the connection timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https", "socks5"):
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(AttemptFailed, match=r"the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\) did not respond"):
                body("https://127.0.0.1:1/m.gguf", Client(connect_s=0.1))


def test_a_name_that_socks5_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """With socks5h the proxy would resolve it."""
    with microsocks() as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        with pytest.raises(AttemptFailed, match=r"cannot resolve the name luci-dl\.invalid") as caught:
            body("http://luci-dl.invalid/m.gguf")
    assert "socks5h://" in caught.value.hint


def test_without_pysocks_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra installs it."""
    monkeypatch.setattr(connections, "find_spec", lambda _name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    error = said("http://127.0.0.1:1/")
    assert "the proxy 127.0.0.1:1080 (ALL_PROXY) is a SOCKS proxy" in error.message
    assert INSTALL_SOCKS in error.hint
