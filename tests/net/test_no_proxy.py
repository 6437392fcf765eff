"""Which hosts NO_PROXY exempts from proxies."""

from __future__ import annotations

import pytest

from luci_dl.errors import UsageError
from luci_dl.net.proxy import proxy_for
from tests.net.asking import DATA, body
from tests.servers import FaultyServer

HERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("*", "http://example.com/"),
        ("example.com", "http://example.com/"),
        ("EXAMPLE.com", "http://Example.COM./"),
        ("corp", "http://models.corp/"),
        (".corp", "http://a.models.corp/"),
        (".corp", "http://corp/"),
        ("*.corp", "http://models.corp/"),
        ("other, ,, models.corp", "http://models.corp/"),
        ("other models.corp", "http://models.corp/"),
        ("models.corp:8080", "http://models.corp:8080/"),
        ("models.corp:443", "https://models.corp/"),
        ("models.corp:80", "http://models.corp/"),
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("10.0.0.0/8", "http://10.20.30.40/"),
        ("10.20.30.40/8", "http://10.1.1.1/"),
        ("::1", "http://[::1]:8080/"),
        ("[::1]", "http://[::1]:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("fd00::/8", "http://[fd12:3456::1]/"),
        ("0:0:0:0:0:0:0:1", "http://[::1]/"),
    ],
)
def test_no_proxy_lists_hosts_for_direct_connections(exempt: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with their subdomains, ports, IP addresses, networks, or everything; separated by commas or spaces."""
    monkeypatch.setenv("ALL_PROXY", HERE)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("", "http://example.com/"),
        (",", "http://example.com/"),
        (".", "http://example.com/"),
        ("ample.com", "http://example.com/"),
        ("www.example.com", "http://example.com/"),
        ("models.corp:8080", "http://models.corp/"),
        ("models.corp:x", "http://other.corp/"),
        ("1", "http://127.0.0.1/"),
        ("0.0.1", "http://127.0.0.1/"),
        ("10.0.0.0/8", "http://11.0.0.1/"),
        ("10.0.0.0/99", "http://10.0.0.1/"),
        ("10.0.0.0/8", "http://10.example.com/"),
        ("[::1]:8080", "http://[::1]/"),
        ("fd00::/8", "http://10.0.0.1/"),
    ],
)
def test_no_proxy_matches_no_other_hosts(exempt: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No partial name, no other port, no partial address."""
    monkeypatch.setenv("ALL_PROXY", HERE)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for(url) is not None


def test_no_proxy_in_lower_case_wins(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the other variables; and the server is reached."""
    monkeypatch.setenv("HTTP_PROXY", HERE)
    monkeypatch.setenv("NO_PROXY", "nobody")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    assert body(server.serve("/m.gguf", DATA)) == DATA


def test_no_proxy_in_quotes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of variables keeps the quotes; the first and the last host of the list would not be exempt."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", '"localhost,models.corp"')
    with pytest.raises(UsageError, match="NO_PROXY is in quotes"):
        proxy_for("http://models.corp/")
