"""From a reference to artifacts, against a Hub."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import NetworkError, ResolveError, UsageError
from luci_dl.events import Event, Warned
from luci_dl.install.resolve import resolve
from luci_dl.model import Artifact, Digest, Model
from luci_dl.net.network import Network
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.huggingface import resolve as huggingface
from luci_dl.sources.huggingface.resolve import resolve_reference
from luci_dl.sources.selection import FileSelection
from tests.servers.hub import Hub, blob_sha1

DATA = b"GGUF" + bytes(2000)
FILES = {
    "m-Q4_K_M.gguf": DATA,
    "m-Q8_0.gguf": DATA,
    "mmproj-F16.gguf": DATA,
    "config.json": b"{}",
    "sub/x.json": b"[]",
    ".gitattributes": b"",
    "sub/.hidden/y.json": b"[]",
}
ALL = ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "config.json", "sub/x.json", "mmproj-F16.gguf"]


@pytest.fixture
def context(hub: Hub) -> ResolveContext:
    hub.add("me/m", FILES)
    return ResolveContext(endpoints=Endpoints(hub.endpoint), retries=0)


def names(model: Model) -> list[str]:
    return [artifact.name.removeprefix("me/m/") for artifact in model.artifacts]


def test_a_file_has_addresses_at_the_hub_and_its_mirrors(hub: Hub) -> None:
    """With size and digest; the token is for the Hub, whose address is first."""
    repo = hub.add("me/m", FILES)
    hub.tokens.add("secret")
    asking = ResolveContext(endpoints=Endpoints(hub.endpoint, "secret", ("https://mirror.example/hf",)), retries=0)
    (found,) = resolve_reference("hf:ME/M/config.json", FileSelection(), asking).artifacts
    path = f"/me/m/resolve/{repo.commit('main')}/config.json"
    assert found == Artifact(
        "me/m/config.json",
        (hub.endpoint + path, "https://mirror.example/hf" + path),
        2,
        digests={Digest.GIT_BLOB: blob_sha1(b"{}")},
        headers={"Authorization": "Bearer secret"},
        access="public",
    )


def test_a_mirror_that_sent_the_listing_comes_first_and_gets_no_token(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub, which could not be reached, comes second."""
    hub.down = True
    with Hub() as mirror:
        mirror.add("me/m", FILES)
        asking = ResolveContext(endpoints=Endpoints(hub.endpoint, "secret", (mirror.endpoint,)), retries=0)
        (found,) = resolve_reference("hf:me/m/m-Q8_0.gguf", FileSelection(), asking).artifacts
    assert [url.split("/me/")[0] for url in found.urls] == [mirror.endpoint, hub.endpoint]
    assert not found.headers


@pytest.mark.parametrize(
    ("word", "selection", "chosen"),
    [
        ("hf:me/m", FileSelection(), ["m-Q4_K_M.gguf", "mmproj-F16.gguf"]),
        ("hf:me/m:Q8_0", FileSelection(projector=False), ["m-Q8_0.gguf"]),
        ("hf:me/m/m-Q8_0.gguf", FileSelection(), ["m-Q8_0.gguf"]),
        ("hf:me/m", FileSelection(all_files=True), ALL),
        ("hf:me/m", FileSelection(all_files=True, projector=False), ALL[:-1]),
        ("hf:me/m", FileSelection(include=("*.json",)), ["config.json", "sub/x.json"]),
        ("hf:me/m", FileSelection(include=("*.json", "*Q8*"), exclude=("sub/",)), ["m-Q8_0.gguf", "config.json"]),
        ("hf:me/m", FileSelection(exclude=("*.gguf",)), ["config.json", "sub/x.json"]),
        ("hf:me/m/sub", FileSelection(all_files=True), ["sub/x.json"]),
    ],
)
def test_words_and_options_select_the_files(
    context: ResolveContext, word: str, selection: FileSelection, chosen: list[str]
) -> None:
    """The file to load comes first, the projector last, and hidden files never."""
    model = resolve_reference(word, selection, context)
    assert names(model) == chosen
    assert model.reference == word
    roles = {artifact.name for artifact in model.artifacts if artifact.role == "projector"}
    assert roles == {f"me/m/{name}" for name in chosen if "mmproj" in name}


@pytest.mark.parametrize(
    ("word", "selection", "error", "problem"),
    [
        ("hf:me/m/m-Q4_K.gguf", FileSelection(), ResolveError, "did you mean m-Q4_K_M.gguf"),
        ("hf:me/m/none", FileSelection(), ResolveError, 'no file "none"'),
        ("hf:me/m/sub", FileSelection(), ResolveError, "hf:me/m/sub has no GGUF file"),
        ("hf:me/m", FileSelection(include=("*.bin",)), ResolveError, "leave none of the 7 files"),
        ("hf:me/m:Q8_0", FileSelection(all_files=True), UsageError, "names a quantisation"),
        ("hf:me/m/config.json", FileSelection(include=("*",)), UsageError, "single file"),
        ("hf:me/m/.gitattributes", FileSelection(), ResolveError, "begins with a dot"),
    ],
)
def test_contradicting_words_and_options_are_refused(
    context: ResolveContext, word: str, selection: FileSelection, error: type[Exception], problem: str
) -> None:
    """With similar files."""
    with pytest.raises(error, match=problem):
        resolve_reference(word, selection, context)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../../evil.json", r'has ".." in it'),
        ("/etc/evil.json", "has an empty part"),
        ("a/../b.json", r'has ".." in it'),
        ("a//b.json", "has an empty part"),
        ("a\0b.json", "control characters"),
        ("\ud800.json", "control characters"),
        ("SUB/X.json", "one file on some file systems"),
    ],
)
def test_forbidden_names_are_refused(hub: Hub, context: ResolveContext, path: str, problem: str) -> None:
    """If they are among the selected files."""
    hub.repos["me/m"].entries.append({"type": "file", "path": path, "size": 1, "oid": "a1" * 20})
    with pytest.raises(ResolveError, match=problem) as caught:
        resolve_reference("hf:me/m", FileSelection(include=("**/*.json*",)), context)
    assert caught.value.message.isprintable()
    assert names(resolve_reference("hf:me/m", FileSelection(), context)) == ["m-Q4_K_M.gguf", "mmproj-F16.gguf"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("poetry.lock", "ends in .lock, which luci reserves"),
        ("sub/x.json.PART", "ends in .part, which luci reserves"),
        ("x.lock/y.json", "ends in .lock, which luci reserves"),
        ("a\\..\\b.json", "backslash"),
        ("-rf.json", "begins with a dash"),
        ("x.json ", "begins or ends with a space"),
        ("a" * 300 + ".json", "too long"),
    ],
)
def test_a_name_that_cannot_be_used_does_not_stop_the_other_files(
    hub: Hub, context: ResolveContext, path: str, problem: str
) -> None:
    """A warning says what is left out; named alone the file is refused, with a hint to rename it, which works."""
    hub.repos["me/m"].entries.append({"type": "file", "path": path, "size": 1, "oid": "a1" * 20})
    events: list[Event] = []
    model = resolve_reference("hf:me/m", FileSelection(all_files=True), replace(context, emit=events.append))
    assert names(model) == ALL
    (warning,) = events
    assert isinstance(warning, Warned)
    assert warning.message.startswith("left out 1 file of me/m: ")
    assert problem in warning.message
    with pytest.raises(ResolveError, match=problem) as caught:
        resolve_reference(f"hf:me/m/{path}", FileSelection(), context)
    assert "-o" in caught.value.hint
    assert "--exclude" not in caught.value.hint
    assert names(resolve_reference(f"hf:me/m/{path}", FileSelection(output="x"), context)) == ["x"]


@pytest.mark.parametrize(
    ("files", "chosen", "warned"),
    [
        (("vision/mmproj-F16.gguf",), "vision/mmproj-F16.gguf", False),
        (("a/mmproj-F16.gguf", "b/mmproj-F16.gguf"), None, True),
    ],
)
def test_a_projector_in_another_folder_is_found_or_mentioned(
    hub: Hub, context: ResolveContext, files: tuple[str, ...], chosen: str | None, warned: bool
) -> None:
    """Only where it is clear that it belongs to the model it is installed."""
    hub.add("me/v", {"m-Q4_K_M.gguf": DATA, **dict.fromkeys(files, DATA)})
    events: list[Event] = []
    model = resolve_reference("hf:me/v", FileSelection(), replace(context, emit=events.append))
    assert [artifact.name for artifact in model.artifacts[1:]] == ([f"me/v/{chosen}"] if chosen else [])
    assert [str(event).count("2 projectors in other folders") for event in events] == [1] * warned


def test_too_many_files_for_one_install_are_refused(
    hub: Hub, context: ResolveContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface, "MAX_FILES", 4)
    with pytest.raises(ResolveError, match="has 5 such files, but one install takes at most 4"):
        resolve_reference("hf:me/m", FileSelection(all_files=True), context)


def test_a_digest_after_the_address_must_match_the_hub(hub: Hub, context: ResolveContext) -> None:
    """For a file outside LFS it is used in addition."""
    right, wrong = hashlib.sha256(DATA).hexdigest(), "a1" * 32
    page = f"{hub.endpoint}/me/m/blob/main"
    (found,) = resolve_reference(f"{page}/m-Q8_0.gguf#sha256={right}", FileSelection(), context).artifacts
    assert found.sha256 == right
    (found,) = resolve_reference(f"{page}/config.json#sha256={wrong}", FileSelection(), context).artifacts
    assert (found.sha256, found.expected(Digest.GIT_BLOB)) == (wrong, blob_sha1(b"{}"))
    with pytest.raises(UsageError, match="but the Hub has"):
        resolve_reference(f"{page}/m-Q8_0.gguf#sha256={wrong}", FileSelection(), context)
    with pytest.raises(UsageError, match="single file"):
        resolve_reference(f"{hub.endpoint}/me/m#sha256={right}", FileSelection(), context)


def test_offline_the_installed_model_is_used(hub: Hub) -> None:
    """Found by the canonical reference or by its file; otherwise the message names the server."""
    known = Model("hf:me/m", (Artifact("me/m/m.gguf", ("x",)),))
    installed = {"hf:me/m": known, "me/m/m.gguf": known}
    context = ResolveContext(Network(offline=True), Endpoints(hub.endpoint), installed=installed.get)
    for word in ("hf:me/m", f"{hub.endpoint}/me/m", "https://huggingface.co/me/m/blob/main/m.gguf"):
        assert resolve_reference(word, FileSelection(), context) == known
    with pytest.raises(NetworkError, match=hub.endpoint):
        resolve_reference("hf:me/m:Q8_0", FileSelection(), context)
    assert not hub.seen()


def test_resolving_asks_no_server_while_a_word_is_misspelt(hub: Hub, context: ResolveContext) -> None:
    """Nor if an option does not apply to every word."""
    with pytest.raises(ResolveError, match="mistrl"):
        resolve(["hf:me/m", "mistrl"], Catalog.of([]), FileSelection(), context)
    with pytest.raises(UsageError, match="mistrl is not one"):
        resolve(["hf:me/m", "mistrl"], Catalog.of([]), FileSelection(all_files=True), context)
    assert not hub.seen()


def test_output_names_a_single_file_of_a_repository(context: ResolveContext) -> None:
    """Even one whose own name is not allowed."""
    (found,) = resolve(["hf:me/m/.gitattributes"], Catalog.of([]), FileSelection(output="mine"), context)
    assert names(found) == ["mine"]
