"""Which proxy a request uses, and the messages about proxies that refuse it. Real sockets, small proxies."""

from __future__ import annotations

import base64
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.errors import LuciError, NetworkError
from luci_dl.net.proxy import Proxy, proxy_for
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, body
from tests.net.proxies import proxy
from tests.servers import FaultyServer, faults

HERE = "http://127.0.0.1:1"


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_a_plain_request_goes_through_the_proxy_with_its_credentials(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets its password; the server does not."""
    url = server.serve("/m.gguf", DATA)
    with proxy(basic("me:p@ss")) as between:
        monkeypatch.setenv("HTTP_PROXY", between.address("me:p%40ss@"))
        assert body(url) == DATA
        assert between.asked == [("GET", url, basic("me:p@ss"))]
    assert "proxy-authorization" not in server.exchanges()[0].headers


def test_the_proxy_cannot_read_tls(tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees host, port and its own credentials, but no header for the server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with proxy(basic("me:pw")) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address("me:pw@"))
        assert body(tls_server.serve("/m.gguf", DATA)) == DATA
        place = f"127.0.0.1:{tls_server.port}"
        assert between.asked == [("CONNECT", place, basic("me:pw"))]
        assert between.headers == [{"host": place, "proxy-authorization": basic("me:pw")}]
    headers = tls_server.exchanges()[0].headers
    assert "proxy-authorization" not in headers
    assert {name for name in SECRET if name.lower() in headers} == set(SECRET)


def test_a_redirect_uses_the_proxy_of_its_own_scheme(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each proxy gets only its own credentials."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    url = server.serve("/m.gguf", faults=[faults.redirect(tls_server.serve("/there", DATA))])
    with proxy(basic("a:a")) as plain, proxy(basic("b:b")) as secure:
        monkeypatch.setenv("HTTP_PROXY", plain.address("a:a@"))
        monkeypatch.setenv("HTTPS_PROXY", secure.address("b:b@"))
        assert body(url) == DATA
        assert [asked[2] for asked in plain.asked] == [basic("a:a")]
        assert [asked[2] for asked in secure.asked] == [basic("b:b")]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_every_spelling_of_the_variable_is_used(
    server: FaultyServer, name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upper or lower case, with or without a scheme in the value."""
    with proxy() as between:
        monkeypatch.setenv(name, scheme + between.address().removeprefix("http://"))
        assert body(server.serve("/m.gguf", DATA)) == DATA
        assert len(between.asked) == 1


def test_the_most_specific_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower case before upper case, even when empty; the scheme's own variable before ALL_PROXY."""
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://large:1")
    assert str(proxy_for("http://h/")) == "the proxy all:1 (ALL_PROXY)"
    assert str(proxy_for("https://h/")) == "the proxy large:1 (HTTPS_PROXY)"
    monkeypatch.setenv("https_proxy", "http://small:1")
    assert str(proxy_for("https://h/")) == "the proxy small:1 (https_proxy)"
    monkeypatch.setenv("https_proxy", "")
    monkeypatch.delenv("ALL_PROXY")
    assert proxy_for("https://h/") is None


def test_a_cgi_script_ignores_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """There HTTP_PROXY is the client's own header Proxy."""
    monkeypatch.setenv("HTTP_PROXY", HERE)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for("http://h/") is None
    monkeypatch.setenv("http_proxy", HERE)
    assert proxy_for("http://h/")


def test_on_macos_the_system_settings_are_used_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their own exceptions. They are ignored when any variable is set."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"https": "http://mac:3128"})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: host == "near")
    assert str(proxy_for("https://far/")) == "the proxy mac:3128 (the system's settings)"
    assert proxy_for("https://near/") is None
    assert proxy_for("http://far/") is None
    monkeypatch.setenv("NO_PROXY", "other")
    assert proxy_for("https://far/") is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("proxy", Proxy("http", "proxy", 80, "ALL_PROXY")),
        (" http://proxy:3128/ ", Proxy("http", "proxy", 3128, "ALL_PROXY")),
        ("https://[::1]:8443", Proxy("https", "::1", 8443, "ALL_PROXY")),
        ("socks5://u%3A:p%2F@proxy", Proxy("socks5", "proxy", 1080, "ALL_PROXY", "u:", "p/")),
        ("socks://127.0.0.1:9050", Proxy("socks5h", "127.0.0.1", 9050, "ALL_PROXY")),
    ],
)
def test_a_proxy_address_is_parsed(address: str, expected: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """With default ports, decoded credentials, and the plain "socks" of desktop settings."""
    monkeypatch.setenv("ALL_PROXY", address)
    assert proxy_for("https://example.com/") == expected


def test_a_proxy_does_not_show_its_password() -> None:
    """Neither in messages nor in its repr."""
    secret = Proxy("http", "::1", 3128, "HTTP_PROXY", "me", "secret")
    assert str(secret) == "the proxy [::1]:3128 (HTTP_PROXY)"
    assert "secret" not in repr(secret) + secret.url


@pytest.mark.parametrize(
    "address",
    [
        "ftp://h:21",
        "http://[bad",
        "http://h:99999",
        "http://",
        "http://me:pw@h:x",
        "http://me:12/pw@h:1",
        "h:0",
        "http://a..b:1",
    ],
)
def test_an_invalid_proxy_address_is_one_clear_message(
    server: FaultyServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the variable and the expected format, without the password."""
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(NetworkError, match="HTTP_PROXY is not a proxy address: expected http://HOST:PORT") as caught:
        body(server.serve("/m.gguf", DATA))
    assert "HTTP_PROXY" in caught.value.hint
    assert "pw" not in str(caught.value)


# --- a proxy that refuses


@pytest.fixture(params=["http", "https"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Sets the proxy for a plain request or for a tunnel. Returns: the address to request."""

    def through(address: str) -> str:
        monkeypatch.setenv(f"{request.param}_proxy", address)
        return f"{request.param}://luci-dl.invalid/m.gguf"

    return through


def said(url: str) -> LuciError:
    """The error of a request that is not retried."""
    with pytest.raises(LuciError) as caught:
        body(url)
    return caught.value


def test_a_proxy_that_requires_authentication_is_named(ways: Callable[[str], str]) -> None:
    """A 407 names the proxy and its variable, and says how to set the password."""
    with proxy(basic("me:pw")) as between:
        error = said(ways(between.address()))
    assert isinstance(error, NetworkError)
    assert f"the proxy 127.0.0.1:{between.server_port} (http" in error.message
    assert "requires a user name and a password" in error.message
    assert f"Put USER:PASSWORD@ before 127.0.0.1:{between.server_port} in http" in error.hint


def test_a_rejected_password_is_reported_and_not_shown(ways: Callable[[str], str]) -> None:
    """The message is not that of a missing password."""
    with proxy(basic("me:pw")) as between:
        error = said(ways(between.address("me:wrong@")))
    assert "rejects the user name and password" in error.message
    assert "wrong" not in error.message + error.hint


def test_an_unsupported_authentication_scheme_is_named(ways: Callable[[str], str]) -> None:
    """With what to do."""
    with proxy(basic("me:pw"), offered="Negotiate, NTLM") as between:
        error = said(ways(between.address()))
    assert "Negotiate or NTLM, but luci supports only Basic" in error.message
    assert "cntlm" in error.hint


@pytest.mark.parametrize("status", [400, 403, 405])
def test_a_refused_tunnel_is_not_retried(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the proxy, the host, and the proxy's own reason, escaped; the hint says what to do."""
    with proxy(status=status, reason="Not \x1b[31m here") as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address())
        error = said("https://luci-dl.invalid/m.gguf")
    assert isinstance(error, NetworkError)
    who = f"the proxy 127.0.0.1:{between.server_port} (HTTPS_PROXY)"
    assert error.message == rf"{who} refuses to connect to luci-dl.invalid: {status} Not \x1b[31m here"
    assert "NO_PROXY" in error.hint


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_tunnel_that_fails_temporarily_is_retried(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the requested delay. The hint does not suspect the connection to the proxy."""
    with proxy(status=status) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address())
        with pytest.raises(AttemptFailed, match=f"cannot connect to luci-dl.invalid:8443: {status} ") as caught:
            body("https://luci-dl.invalid:8443/m.gguf")
    assert caught.value.retry_after == 7.0
    assert "The proxy works" in caught.value.hint


def test_an_error_status_through_a_proxy_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either of them may have sent it."""
    with proxy(status=503) as between:
        monkeypatch.setenv("HTTP_PROXY", between.address())
        with pytest.raises(AttemptFailed, match=r"luci-dl\.invalid through the proxy 127\.0\.0\.1:\d+ .* returned 503"):
            body("http://luci-dl.invalid/m.gguf")


def test_an_unreachable_proxy_is_retried_and_named(ways: Callable[[str], str]) -> None:
    """The message says that the proxy failed, not the server."""
    with pytest.raises(AttemptFailed, match=r"^cannot connect to the proxy 127\.0\.0\.1:1 \(https?_proxy\)") as caught:
        body(ways(HERE))
    assert "_proxy correct?" in caught.value.hint


def test_a_proxy_of_unknown_name_is_named(ways: Callable[[str], str]) -> None:
    """The name of the proxy cannot be resolved, not that of the server."""
    with pytest.raises(AttemptFailed, match=r"cannot resolve the name proxy\.invalid \("):
        body(ways("http://proxy.invalid:3128"))


def test_a_proxy_that_does_not_speak_tls_is_named(server: FaultyServer, ways: Callable[[str], str]) -> None:
    """Most proxies expect plain connections."""
    with proxy() as between, pytest.raises(AttemptFailed, match=r"the proxy .* does not speak TLS|was lost") as caught:
        body(ways(between.address().replace("http:", "https:")))
    assert "http://" in caught.value.hint
