"""How the file at a plain address gets its name, against a server."""

from __future__ import annotations

import pytest

from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import NetworkError, UsageError
from luci_dl.events import Event
from luci_dl.install.resolve import resolve
from luci_dl.model import Artifact, Model
from luci_dl.net.network import Network
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.selection import FileSelection
from tests.servers import FaultyServer, faults

DATA = b"GGUF" + bytes(100_000)


def names(*words: str, context: ResolveContext | None = None, output: str | None = None) -> list[str]:
    models = resolve(words, Catalog.of([]), FileSelection(output=output), context or ResolveContext(retries=0))
    return [artifact.name for model in models for artifact in model.artifacts]


def disposition(name: str) -> faults.Fault:
    return faults.headers(Content_Disposition=f'attachment; filename="{name}"')


@pytest.mark.parametrize(
    "path",
    ["/api/files/x.gguf/content", "/api/download/models/138296?type=Model", "/files/download", "/get.php", "/v1.0"],
)
def test_the_server_names_the_file_where_the_address_does_not(server: FaultyServer, path: str) -> None:
    assert names(server.serve(path, DATA, [disposition("m.gguf")])) == ["m.gguf"]


def test_a_telling_address_is_not_asked_about(server: FaultyServer) -> None:
    """Nor is one with -o."""
    assert names(server.serve("/a.gguf", DATA, [disposition("m.gguf")])) == ["a.gguf"]
    assert names(server.serve("/content", DATA, [disposition("m.gguf")]), output="b.gguf") == ["b.gguf"]
    assert server.exchanges() == []


def test_the_target_of_a_redirect_names_the_file(server: FaultyServer) -> None:
    """If the server itself does not."""
    there = server.serve("/there/m-Q4_K_M.gguf", DATA)
    assert names(server.serve("/latest", faults=[faults.redirect(there)])) == ["m-Q4_K_M.gguf"]
    login = server.serve("/login.php", DATA)
    with pytest.raises(UsageError, match="says what the file is called"):
        names(server.serve("/latest", faults=[faults.redirect(login)]))


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
def test_a_web_page_names_no_file(server: FaultyServer, kind: str) -> None:
    """Neither a login page nor the one that a network redirects to is what was asked for, whatever its name."""
    page = b"<!-- a --><!DOCTYPE html><title>Hotel</title>"
    login = server.serve("/login.html", page, [faults.headers(Content_Type=kind)])
    for url in (server.serve("/content", page), server.serve("/latest", faults=[faults.redirect(login)])):
        with pytest.raises(NetworkError, match="returned a web page instead of a file") as caught:
            names(url)
        assert "requires a login" in caught.value.hint


@pytest.mark.parametrize(
    "unusable",
    ["", "..", ".bashrc", "-rf.gguf", "m.gguf.part", "a%00b.gguf", "content", "x" * 256 + ".gguf", "a%0ab.gguf"],
)
def test_a_name_that_is_unusable_is_passed_over(server: FaultyServer, unusable: str) -> None:
    """The last part of the path that is a model's file comes next; without one the user is asked."""
    fault = [disposition(unusable)]
    assert names(server.serve("/files/m.gguf/content", DATA, fault)) == ["m.gguf"]
    for path in ("/files/content", "/user.name/example.com/138296"):
        with pytest.raises(UsageError, match="says what the file is called") as caught:
            names(server.serve(path, DATA, fault))
        assert "-o" in caught.value.hint


def test_two_files_of_one_name_do_not_replace_each_other(server: FaultyServer) -> None:
    """Neither does one silently stand for the other."""
    words = [server.serve(f"/{number}/content", DATA, [disposition("m.gguf")]) for number in (1, 2)]
    with pytest.raises(UsageError, match=r"both write m.gguf.*not known to mean the same file"):
        names(*words)
    assert names(words[0], words[0]) == ["m.gguf"]


def test_asking_is_retried_and_its_failure_reported(server: FaultyServer) -> None:
    events: list[Event] = []
    context = ResolveContext(retries=1, emit=events.append)
    assert names(server.serve("/a", DATA, [faults.status(503), disposition("m.gguf")]), context=context) == ["m.gguf"]
    assert len(events) == 1
    with pytest.raises(NetworkError):
        names(server.serve("/b", DATA, [faults.status(503)]))


def test_what_is_installed_by_the_address_keeps_its_name(server: FaultyServer) -> None:
    """So that nobody has to be asked, offline too."""
    url = server.serve("/content", DATA, [disposition("m.gguf")])
    known = Model(url, (Artifact("mine.gguf", (url,)),))
    context = ResolveContext(Network(offline=True), installed={url: known}.get)
    assert names(url, context=context) == ["mine.gguf"]
    with pytest.raises(NetworkError, match="offline"):
        names(server.serve("/other"), context=context)
    assert server.exchanges() == []


@pytest.mark.parametrize("allowed", [FileSelection(unverified=True), FileSelection(sha256="a1" * 32)])
def test_no_server_is_asked_by_plain_http_unless_that_is_allowed(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch, allowed: FileSelection
) -> None:
    """Credentials would be sent with the request."""
    monkeypatch.setattr("luci_dl.net.origin.is_loopback", lambda _host: False)
    url = server.serve("/content", DATA, [disposition("m.gguf")])
    with pytest.raises(UsageError, match="plain http"):
        names(url)
    assert server.exchanges() == []
    (model,) = resolve([url], Catalog.of([]), allowed, ResolveContext(retries=0))
    assert model.artifacts[0].name == "m.gguf"


def test_no_server_is_asked_while_a_reference_is_malformed(server: FaultyServer) -> None:
    """Whatever comes first on the command line."""
    with pytest.raises(UsageError, match="expected hf:OWNER/REPO"):
        names(server.serve("/content", DATA), "hf:me")
    assert server.exchanges() == []
