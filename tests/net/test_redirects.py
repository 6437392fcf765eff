"""Where a client lets itself be sent, and what it takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.errors import NetworkError
from luci_dl.net.client import MAX_REDIRECTS
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, asked, block, body
from tests.servers import FaultyServer, faults


def sent_along(server: FaultyServer, target: str) -> set[str]:
    """Which of the secret headers a request to the target carried."""
    headers = server.exchanges(target)[-1].headers
    return {name for name in SECRET if name.lower() in headers}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_relative_redirect_stays_with_its_credentials(server: FaultyServer, code: int) -> None:
    """The same host may know what it was told before; the range is asked again."""
    server.serve("/there", DATA)
    with asked(server.serve("/m.gguf", faults=[faults.redirect("there?a=b", code)]), start=100) as answer:
        assert (answer.info.offset, block(answer)[:4]) == (100, DATA[100:104])
    assert sent_along(server, "/there?a=b") == set(SECRET)


@pytest.mark.parametrize("host", ["localhost", "user:password@localhost"])
def test_another_host_gets_no_credentials(server: FaultyServer, host: str) -> None:
    """Neither Authorization nor any header of our own, and none that the redirect made up."""
    there = server.url("/there", host=host)
    server.serve("/there", DATA)
    url = server.serve("/m.gguf", faults=[faults.redirect(there)])
    assert body(url) == DATA
    assert sent_along(server, "/m.gguf") == set(SECRET)
    assert sent_along(server, "/there") == set()
    assert "authorization" not in server.exchanges("/there")[0].headers


def test_another_port_is_another_host(server: FaultyServer) -> None:
    """Another service listens there."""
    with FaultyServer() as other:
        there = other.serve("/there", DATA)
        assert body(server.serve("/m.gguf", faults=[faults.redirect(there)])) == DATA
        assert sent_along(other, "/there") == set()


def test_another_scheme_is_another_host(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent in the clear is not sent again; the way from https to http is not gone at all."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    there = tls_server.serve("/there", DATA)
    assert body(server.serve("/m.gguf", faults=[faults.redirect(there)])) == DATA
    assert sent_along(tls_server, "/there") == set()
    back = tls_server.serve("/back", faults=[faults.redirect(server.serve("/plain", DATA))])
    with pytest.raises(NetworkError, match="https to http"):
        body(back)
    assert server.exchanges("/plain") == []


def test_credentials_do_not_come_back_by_a_detour(server: FaultyServer) -> None:
    """From the first host to another and back: the first knows them, the other never does."""
    server.serve("/end", DATA)
    server.serve("/other", faults=[faults.redirect(server.url("/end"))])
    url = server.serve("/m.gguf", faults=[faults.redirect(server.url("/other", host="localhost"))])
    assert body(url) == DATA
    assert sent_along(server, "/other") == set()


def test_circles_are_left(server: FaultyServer) -> None:
    """After ten redirects, with one message."""
    url = server.serve("/m.gguf", faults=[faults.redirect("/m.gguf")])
    with pytest.raises(NetworkError, match=r"redirect loop \(more than 10 redirects\)"):
        body(url)
    assert len(server.exchanges()) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("size", [9_000, 60_000])
def test_a_long_location_is_followed(server: FaultyServer, size: int) -> None:
    """Signed addresses are long."""
    server.serve("/there", DATA)
    assert body(server.serve("/m.gguf", faults=[faults.redirect("/there?" + "a" * size)])) == DATA


@pytest.mark.parametrize(
    "location",
    ["http://a b/", "http://a..b/", f"http://{'a' * 300}.invalid/", "http://[x]/"],
)
def test_a_redirect_to_no_host_is_one_clear_message(server: FaultyServer, location: str) -> None:
    """No exception of a library comes through."""
    with pytest.raises(NetworkError):
        body(server.serve("/m.gguf", faults=[faults.redirect(location)]))


def test_the_hub_speaks_before_it_redirects(server: FaultyServer) -> None:
    """Digest and size come from the Hub itself, also behind the redirect of a renamed repository, never from a CDN."""
    there = server.url("/blob", host="localhost")
    server.serve("/blob", DATA, faults=[faults.headers(X_Linked_Etag='"' + "00" * 32 + '"')])
    server.serve("/new/name", faults=[faults.hub_redirect(there, DATA)])
    with asked(server.serve("/m.gguf", faults=[faults.redirect("/new/name", code=307)])) as answer:
        told = answer.remote
    with asked(there) as answer:
        assert answer.remote.sha256 == "00" * 32
    with asked(server.serve("/direct", faults=[faults.redirect(there)])) as answer:
        assert answer.remote.sha256 is None
    with asked(server.url("/new/name")) as answer:
        assert answer.remote.sha256 == told.sha256 is not None
    assert told.size == len(DATA)


def test_a_hub_and_a_cdn_that_disagree_are_tried_again(server: FaultyServer) -> None:
    """One of them is behind."""
    server.serve("/blob", DATA + b"!")
    url = server.serve("/m.gguf", faults=[faults.hub_redirect(server.url("/blob", host="localhost"), DATA)])
    with pytest.raises(AttemptFailed, match="Hub"):
        body(url)
