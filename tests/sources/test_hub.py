"""The listing of the Hub: valid ones are read, invalid ones refused, and errors distinguished."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.events import Event, Retrying, Warned
from luci_dl.model import Digest
from luci_dl.net import retry
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.huggingface import answers as interface
from luci_dl.sources.huggingface.hub import artifact_of, list_files
from tests.servers import FaultyServer
from tests.servers.faults import headers, redirect, status
from tests.servers.hub import Hub, blob_sha1

FILES = {"m.gguf": b"GGUF" + bytes(2000), "config.json": b"{}", "sub/deep/x.txt": b"x"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.001)


def context(
    hub: Hub, events: list[Event] | None = None, mirrors: Sequence[str] = (), token: str | None = None
) -> ResolveContext:
    heard: list[Event] = [] if events is None else events
    return ResolveContext(endpoints=Endpoints(hub.endpoint, token, tuple(mirrors)), emit=heard.append, retries=2)


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_listing_gives_sizes_and_digests_of_all_its_pages(hub: Hub, page: int) -> None:
    """SHA-256 for LFS files, git's own digest for others; folders are left out."""
    hub.add("me/model", FILES)
    hub.page = page
    found = list_files(context(hub), "me/model")
    assert (found.repo, found.base) == ("me/model", hub.endpoint)
    assert found.commit == hub.repos["me/model"].commit("main")
    listed = {file.path: (file.size, file.sha256, file.digest(Digest.GIT_BLOB)) for file in found.files}
    assert listed == {
        "m.gguf": (2004, hashlib.sha256(FILES["m.gguf"]).hexdigest(), None),
        "config.json": (2, None, blob_sha1(b"{}")),
        "sub/deep/x.txt": (1, None, blob_sha1(b"x")),
    }


@pytest.mark.parametrize("revision", ["v1", "refs/pr/1", "feature/a b"])
def test_a_revision_becomes_a_commit(hub: Hub, revision: str) -> None:
    """Also one with slashes in it; a commit is a revision, too."""
    repo = hub.add("me/model", FILES)
    repo.revisions[revision] = {"old.gguf": b"GGUF"}
    found = list_files(context(hub), "me/model", revision)
    assert [file.path for file in found.files] == ["old.gguf"]
    assert list_files(context(hub), "me/model", found.commit) == found


def test_a_renamed_repository_is_found_and_reported(hub: Hub) -> None:
    """It keeps the name that was asked for; another spelling of a name is corrected silently."""
    hub.add("me/new", FILES)
    hub.renamed["me/old"] = "me/new"
    events: list[Event] = []
    assert list_files(context(hub, events), "me/old").repo == "me/old"
    assert events == [Warned("me/old was renamed to me/new")]
    assert list_files(context(hub, events), "Me/NEW").repo == "me/new"
    assert len(events) == 1


@pytest.mark.parametrize(
    ("repo", "revision", "token", "texts"),
    [
        ("me/none", "main", None, ("has no repository me/none, or it is private (401)", "HF_TOKEN")),
        ("me/none", "main", "good", ("has no repository me/none, or it is private (404)", "HF_TOKEN")),
        ("me/private", "main", None, ("has no repository me/private, or it is private (401)", "HF_TOKEN")),
        ("me/model", "mainn", None, ('no revision "mainn"', "did you mean main?")),
        ("me/model", "zzz", None, ('no revision "zzz"', "https://huggingface.co/me/model/tree/main")),
        ("me/off", "main", None, ("me/off is disabled", "https://huggingface.co/me/off")),
        ("me/model", "main", "bad", ("rejects the token (401)", "HF_TOKEN")),
    ],
)
def test_refusals_are_distinguished(
    hub: Hub, repo: str, revision: str, token: str | None, texts: Sequence[str]
) -> None:
    """Each with what to do."""
    hub.add("me/model", FILES)
    hub.add("me/private", FILES, private=True)
    hub.add("me/off", FILES, disabled=True)
    hub.tokens.add("good")
    with pytest.raises(ResolveError) as caught:
        list_files(context(hub, token=token), repo, revision)
    message = f"{caught.value.message} {caught.value.hint}"
    assert all(text in message for text in texts), message


DIGEST = {"oid": "a1" * 32, "size": 5}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("x", "expected an object"),
        ({"path": 5}, "path of a file, found 5"),
        ({"path": ""}, "path of a file"),
        ({"size": -1}, "size of x, found -1"),
        ({"size": 5.0}, "size of x, found 5.0"),
        ({"size": True}, "size of x, found True"),
        ({"size": "5"}, "size of x"),
        ({"size": None}, "size of x, found None"),
        ({"size": 10**30}, "size of x"),
        ({"oid": "a1" * 21}, "40 hex digits, found 42"),
        ({"oid": None}, "40 hex digits"),
        ({"oid": "z" * 40}, '"z"'),
        ({"lfs": "x"}, "expected an object"),
        ({"lfs": {**DIGEST, "oid": "a1" * 20}}, "64 hex digits, found 40"),
        ({"lfs": {"size": 5}}, "64 hex digits"),
        ({"lfs": {**DIGEST, "size": 6}}, "two sizes: 5 and 6"),
        ({"path": "m.gguf"}, 'it lists "m.gguf" twice'),
        ({"path": "x\x1b[31m", "size": -1}, r"x\x1b[31m"),
    ],
)
def test_an_invalid_listing_is_refused(hub: Hub, entry: object, problem: str) -> None:
    """Nothing is guessed, and the message is safe for a terminal."""
    sound = {"type": "file", "path": "x", "size": 5, "oid": "b2" * 20}
    hub.add("me/model", FILES, entries=[{**sound, **entry} if isinstance(entry, dict) else entry])
    with pytest.raises(ResolveError) as caught:
        list_files(context(hub), "me/model")
    assert problem in caught.value.message
    assert "sent an invalid response" in caught.value.message
    assert caught.value.message.isprintable()


def test_an_endless_listing_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """After too many files, and after too many pages."""
    hub.add("me/model", {f"{number}": b"x" for number in range(30)})
    monkeypatch.setattr(interface, "MAX_FILES", 20)
    with pytest.raises(ResolveError, match="more than 20 files"):
        list_files(context(hub), "me/model")
    hub.page = 5
    monkeypatch.setattr(interface, "MAX_PAGES", 2)
    with pytest.raises(ResolveError, match="more than 2 pages"):
        list_files(context(hub), "me/model")


@pytest.mark.parametrize(
    "link",
    [
        "<{other}/api/models/me/m/tree/x?cursor=2>; rel=next",
        '<https://huggingface.co/api/models/me/m/tree/x?cursor=2>; rel="next"',
        '<?cursor=2#x>; type="json"; Rel="next"',
        '<https://huggingface.co/first?x>; rel="prev", <http://[/?cursor=2>; rel="next"',
    ],
)
def test_the_next_page_is_at_the_same_server(server: FaultyServer, hub: Hub, link: str) -> None:
    """Mirrors pass on the Hub's links, and may stand below a path; the token is not sent anywhere else."""
    page = headers(Link=link.format(other=hub.endpoint))
    tree, base = f"/hf/api/models/me/m/tree/{'a1' * 20}", "/hf/api/models/me/m/revision/main"
    server.serve(base, b'{"id": "me/m", "sha": "%b"}' % (b"a1" * 20))
    server.serve(f"{tree}?recursive=true", b"[]", [page])
    server.serve(f"{tree}?cursor=2", b'[{"type": "file", "path": "a", "size": 1, "oid": "%b"}]' % (b"b2" * 20))
    asking = ResolveContext(endpoints=Endpoints(server.url("/hf"), "secret"), retries=0)
    assert [file.path for file in list_files(asking, "me/m").files] == ["a"]
    assert not hub.seen()


@pytest.mark.parametrize("link", ["<{other}/api/next>", "<http://[/x>", "<file:///etc/passwd>", "<?>", "<?\x07>"])
def test_a_next_page_without_a_query_is_refused(server: FaultyServer, hub: Hub, link: str) -> None:
    """It would be the same page again."""
    page = link.format(other=hub.endpoint)
    server.serve("/api/models/me/m/revision/main", b'{"id": "me/m", "sha": "%b"}' % (b"a1" * 20))
    server.serve(f"/api/models/me/m/tree/{'a1' * 20}", b"[]", [headers(Link=f'{page}; rel="next"')])
    asking = ResolveContext(endpoints=Endpoints(server.url(""), "secret"), retries=0)
    with pytest.raises(ResolveError, match="next page is at"):
        list_files(asking, "me/m")
    assert not hub.seen()


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"<html>", NetworkError), (b"[" * 100_000, NetworkError), (b"[]", ResolveError), (b'{"sha": 1}', ResolveError)],
)
def test_a_server_that_is_no_hub_is_recognized(server: FaultyServer, body: bytes, error: type[LuciError]) -> None:
    """A web page, endless brackets, JSON of another shape."""
    server.serve("/api/models/me/m/revision/main", body)
    with pytest.raises(error, match=str(server.port)):
        list_files(ResolveContext(endpoints=Endpoints(server.url("")), retries=0), "me/m")


def test_mirrors_are_asked_only_when_the_hub_cannot_be_reached(hub: Hub) -> None:
    """It is reported; the Hub is not retried for long, and after a mirror that fails the next is asked."""
    hub.add("me/model", FILES)
    events: list[Event] = []
    with Hub() as mirror, Hub() as empty:
        mirror.add("me/model", {"other.gguf": b"GGUF"})
        asking = replace(context(hub, events, [empty.endpoint, mirror.endpoint], token="secret"), retries=10)
        hub.tokens.add("secret")
        assert list_files(asking, "me/model").base == hub.endpoint
        assert not mirror.seen()
        hub.down = True
        found = list_files(asking, "me/model")
        assert (found.base, [file.path for file in found.files]) == (mirror.endpoint, ["other.gguf"])
        assert not any("authorization" in seen.headers for seen in mirror.seen() + empty.seen())
        assert empty.seen()
    assert len([event for event in events if isinstance(event, Retrying)]) == 1
    (warning,) = [event for event in events if isinstance(event, Warned)]
    assert "503" in warning.message
    assert f"known only from the mirror {mirror.endpoint}" in warning.message


@pytest.mark.parametrize(("more", "access"), [({}, "public"), ({"gated": True}, "gated"), ({"private": True}, "gated")])
def test_who_may_have_the_files_is_the_word_of_the_hub(hub: Hub, more: dict[str, bool], access: str) -> None:
    """A mirror's word does not count: everything is public that it has."""
    hub.add("me/model", FILES, **more)
    hub.tokens.add("secret")
    listing = list_files(context(hub, token="secret"), "me/model")
    assert (listing.access, artifact_of(listing, listing.files[0], "m", context(hub)).access) == (access, access)
    with Hub() as mirror:
        mirror.add("me/model", FILES)
        hub.down = True
        assert list_files(context(hub, mirrors=[mirror.endpoint]), "me/model").access == "unknown"


def test_a_mirror_in_plain_http_lists_nothing(hub: Hub) -> None:
    """Nothing would prove its digests; it still serves files whose digests are known."""
    hub.down = True
    with pytest.raises(NetworkError, match=r"LUCI_MIRRORS: mirror\.lan would be asked in plain http"):
        list_files(context(hub, mirrors=["http://mirror.lan"]), "me/model")


def test_a_mirror_does_not_overrule_the_hub(hub: Hub) -> None:
    """What the Hub refuses is refused, whatever a mirror has."""
    with Hub() as mirror:
        mirror.add("me/model", FILES)
        with pytest.raises(ResolveError, match="has no repository"):
            list_files(context(hub, mirrors=[mirror.endpoint]), "me/model")
        assert not mirror.seen()


def test_mirrors_that_fail_are_named_with_their_status(hub: Hub, server: FaultyServer) -> None:
    """One that redirects to a page, one without the repository, one with an invalid listing."""
    hub.down = True
    server.serve("/a/api/models/me/m/revision/main", faults=[redirect("/login")])
    server.serve("/login", b"<html>")
    server.serve("/b/api/models/me/m/revision/main", faults=[status(418)])
    server.serve("/c/api/models/me/m/revision/main", faults=[status(505)])
    mirrors = [server.url("/a"), server.url("/b"), server.url("/c")]
    with pytest.raises(NetworkError) as caught:
        list_files(context(hub, mirrors=mirrors), "me/m")
    lines = caught.value.message.splitlines()
    assert len(lines) == 4
    assert "503" in lines[0]
    assert f"{server.url('/login')} returned a web page (200)" in lines[1]
    assert f"the mirror {mirrors[1]}" in lines[2]
    assert "418" in lines[2]
    assert "505" in lines[3]
    assert "connection" not in caught.value.hint
