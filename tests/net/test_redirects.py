"""Which redirects a client follows, and which headers it sends along."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.errors import NetworkError
from luci_dl.net.redirects import MAX_REDIRECTS
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, asked, block, body
from tests.servers import FaultyServer, faults


def sent_along(server: FaultyServer, target: str) -> set[str]:
    """The secret headers of the last request to the target."""
    headers = server.exchanges(target)[-1].headers
    return {name for name in SECRET if name.lower() in headers}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_keeps_the_credentials(server: FaultyServer, code: int) -> None:
    """The host knows them already; the range is requested again."""
    server.serve("/there", DATA)
    with asked(server.serve("/m.gguf", faults=[faults.redirect("there?a=b", code)]), start=100) as response:
        assert (response.info.offset, block(response)[:4]) == (100, DATA[100:104])
    assert sent_along(server, "/there?a=b") == set(SECRET)


@pytest.mark.parametrize("host", ["localhost", "user:password@localhost"])
def test_another_host_gets_no_credentials(server: FaultyServer, host: str) -> None:
    """Neither Authorization nor other headers of ours, nor credentials from the redirect."""
    there = server.url("/there", host=host)
    server.serve("/there", DATA)
    url = server.serve("/m.gguf", faults=[faults.redirect(there)])
    assert body(url) == DATA
    assert sent_along(server, "/m.gguf") == set(SECRET)
    assert sent_along(server, "/there") == set()
    assert "authorization" not in server.exchanges("/there")[0].headers


def test_another_port_is_another_host(server: FaultyServer) -> None:
    """Another service may listen there."""
    with FaultyServer() as other:
        there = other.serve("/there", DATA)
        assert body(server.serve("/m.gguf", faults=[faults.redirect(there)])) == DATA
        assert sent_along(other, "/there") == set()


def test_another_scheme_is_another_host(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials are not sent to the other scheme; a redirect from https to http is refused."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    there = tls_server.serve("/there", DATA)
    assert body(server.serve("/m.gguf", faults=[faults.redirect(there)])) == DATA
    assert sent_along(tls_server, "/there") == set()
    back = tls_server.serve("/back", faults=[faults.redirect(server.serve("/plain", DATA))])
    with pytest.raises(NetworkError, match="https to http"):
        body(back)
    assert server.exchanges("/plain") == []


def test_credentials_are_not_sent_to_a_host_in_between(server: FaultyServer) -> None:
    """From the first host to another and back: the other never gets them."""
    server.serve("/end", DATA)
    server.serve("/other", faults=[faults.redirect(server.url("/end"))])
    url = server.serve("/m.gguf", faults=[faults.redirect(server.url("/other", host="localhost"))])
    assert body(url) == DATA
    assert sent_along(server, "/other") == set()


def test_a_redirect_loop_is_an_error(server: FaultyServer) -> None:
    """After ten redirects."""
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
    ("location", "target"),
    [
        ("/m\u00e4.gguf".encode().decode("latin-1"), "/m%C3%A4.gguf"),
        ("/m%C3%A4.gguf?x=%2F", "/m%C3%A4.gguf?x=%2F"),
        ("/100%.gguf?x=%2F", "/100%25.gguf?x=%2F"),
        ("/a b.gguf?x=c d", "/a%20b.gguf?x=c%20d"),
        ("  /blank ", "/blank"),
        ("/m.gguf?a=b#fragment?c", "/m.gguf?a=b"),
        ("\\a\\b?c=\\", "/a/b?c=%5C"),
        ("deep/../beside", "/dir/beside"),
        ("../above", "/above"),
        ("?only=query", "/dir/m.gguf?only=query"),
    ],
)
def test_a_location_is_read_as_browsers_read_it(server: FaultyServer, location: str, target: str) -> None:
    """Raw bytes, blanks, backslashes and fragments; relative ones; nothing is encoded twice."""
    server.serve(target, DATA)
    assert body(server.serve("/dir/m.gguf?first", faults=[faults.redirect(location)])) == DATA
    assert server.exchanges()[-1].target == target


@pytest.mark.parametrize(
    "location",
    ["http://a b/", "http://a..b/", f"http://{'a' * 300}.invalid/", "http://[x]/"],
)
def test_a_redirect_to_an_invalid_host_is_one_clear_message(server: FaultyServer, location: str) -> None:
    """No exception of a library gets through."""
    with pytest.raises(NetworkError):
        body(server.serve("/m.gguf", faults=[faults.redirect(location)]))


def test_the_hub_gives_digest_and_size_with_its_redirect(server: FaultyServer) -> None:
    """They come from the Hub itself, even after the redirect of a renamed repository, and never from a CDN."""
    there = server.url("/blob", host="localhost")
    server.serve("/blob", DATA, faults=[faults.headers(X_Linked_Etag='"' + "00" * 32 + '"')])
    server.serve("/new/name", faults=[faults.hub_redirect(there, DATA)])
    with asked(server.serve("/m.gguf", faults=[faults.redirect("/new/name", code=307)])) as response:
        told = response.remote
    with asked(there) as response:
        assert response.remote.sha256 == "00" * 32
    with asked(server.serve("/direct", faults=[faults.redirect(there)])) as response:
        assert response.remote.sha256 is None
    with asked(server.url("/new/name")) as response:
        assert response.remote.sha256 == told.sha256 is not None
    assert told.size == len(DATA)


def test_a_hub_and_a_cdn_that_disagree_are_retried(server: FaultyServer) -> None:
    """One of them may be outdated."""
    server.serve("/blob", DATA + b"!")
    url = server.serve("/m.gguf", faults=[faults.hub_redirect(server.url("/blob", host="localhost"), DATA)])
    with pytest.raises(AttemptFailed, match="Hub"):
        body(url)
