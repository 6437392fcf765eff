"""Certificates and proxies, with real sockets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trustme

from luci_dl.errors import NetworkError
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, body
from tests.net.proxies import proxy
from tests.servers import FaultyServer


def test_the_named_authority_is_trusted(
    tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE adds to whom luci trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert body(tls_server.serve("/m.gguf", DATA)) == DATA


def test_an_unknown_authority_is_one_clear_message(tls_server: FaultyServer) -> None:
    """Not retried, and the hint names SSL_CERT_FILE."""
    with pytest.raises(NetworkError, match=r"certificate of 127\.0\.0\.1:\d+ cannot be trusted") as caught:
        body(tls_server.serve("/m.gguf", DATA))
    assert "SSL_CERT_FILE" in caught.value.hint
    assert "_ssl.c" not in caught.value.message


def test_a_certificate_of_another_host_is_refused(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its authority is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file.with_name("other.pem")))
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file.with_name("other.pem")))
    with FaultyServer(tls=authority) as server:
        url = server.serve("/m.gguf", DATA)
        assert body(url) == DATA
        with pytest.raises(NetworkError, match="cannot be trusted"):
            body(url.replace("127.0.0.1", "127.1"))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_broken_certificate_file_is_named(
    tls_server: FaultyServer, tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is missing or not one."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(NetworkError, match="SSL_CERT_FILE="):
        body(tls_server.serve("/m.gguf", DATA))


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_a_plain_request_goes_by_the_proxy_with_its_credentials(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets its password, the server does not."""
    url = server.serve("/m.gguf", DATA)
    with proxy(basic("me:p@ss")) as between:
        monkeypatch.setenv("HTTP_PROXY", between.address("me:p%40ss@"))
        assert body(url) == DATA
        assert between.asked == [("GET", url, basic("me:p@ss"))]
    assert "proxy-authorization" not in server.exchanges()[0].headers


def test_tls_goes_through_the_proxy_unread(
    tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tunnel: the proxy sees host and port, and its own credentials."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with proxy(basic("me:pw")) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address("me:pw@"))
        assert body(tls_server.serve("/m.gguf", DATA)) == DATA
        assert between.asked == [("CONNECT", f"127.0.0.1:{tls_server.port}", basic("me:pw"))]
    assert "proxy-authorization" not in tls_server.exchanges()[0].headers


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_every_spelling_of_the_variable_counts(
    server: FaultyServer, name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In capitals or not, with or without a scheme in the value."""
    with proxy() as between:
        monkeypatch.setenv(name, scheme + between.address().removeprefix("http://"))
        assert body(server.serve("/m.gguf", DATA)) == DATA
        assert len(between.asked) == 1


@pytest.mark.parametrize("exempt", ["127.0.0.1", "localhost,127.0.0.1", "*"])
def test_no_proxy_goes_straight(server: FaultyServer, exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY names the hosts that need no proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert body(server.serve("/m.gguf", DATA)) == DATA


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1:21", "http://[bad", "http://h:99999", "http://", "http://me:pw@h:x"]
)
def test_a_proxy_that_is_none_is_one_clear_message(
    server: FaultyServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which says where it stands, without the password."""
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(NetworkError, match="HTTP_PROXY names no proxy") as caught:
        body(server.serve("/m.gguf", DATA))
    assert "HTTP_PROXY" in caught.value.hint
    assert "pw" not in str(caught.value)


def test_a_proxy_that_asks_for_a_password_is_not_the_server(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 407 is a network error that names the proxy."""
    with proxy(basic("me:pw")) as between:
        monkeypatch.setenv("HTTP_PROXY", between.address())
        with pytest.raises(NetworkError, match="proxy"):
            body(server.serve("/m.gguf", DATA))


def test_a_dead_proxy_is_tried_again(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy failed, not the server, and says the message."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(
        AttemptFailed, match=r"no connection to the proxy 127\.0\.0\.1:1 \(HTTP_PROXY\): Connection refused"
    ):
        body(server.serve("/m.gguf", DATA))
