"""A catalog is compared with the Hub, and no known value is removed."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from luci_dl.catalog.refresh import Refreshed, ask_hub, compare
from luci_dl.errors import NetworkError
from luci_dl.model import lfs_pointer_sha1
from luci_dl.net.network import Network
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from tests.servers.hub import Hub

DATA, NEWER = b"model" * 1000, b"newer" * 1001
SHA, NEW_SHA = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(NEWER).hexdigest()
URL = "https://huggingface.co/O/R/resolve/main/{}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def entry(file: str = "a.gguf", name: str = "m", url: str = "", **facts: Any) -> dict[str, Any]:
    return {"name": name, "file": [{"filename": file, "url": url or URL.format(file), **facts}]}


def refreshed(hub: Hub, *models: dict[str, Any], pin: bool = False) -> Refreshed:
    """The result of comparing the models with the Hub."""
    context = ResolveContext(endpoints=Endpoints(hub=hub.endpoint), retries=0)
    return compare(models, {model["name"] for model in models}, ask_hub(models, context), context, pin=pin)


def applied(done: Refreshed, *models: dict[str, Any]) -> list[dict[str, Any]]:
    """Copies of the models with the changes applied."""
    changed = copy.deepcopy(list(models))
    files = {(model["name"], file["filename"]): file for model in changed for file in model["file"]}
    for change in done.changes:
        files[change.model, change.file][change.key] = change.new
    return changed


def test_facts_of_the_hub_are_added(hub: Hub) -> None:
    """Size and digest, over several pages; the commit if one is pinned or all are; one listing per repository."""
    repo = hub.add("O/R", {"a.gguf": DATA, "sub dir/b.gguf": DATA, **{f"{n}.txt": b"x" for n in range(5)}})
    hub.page = 2
    commit = repo.commit("main")
    models = [entry(), entry("sub%20dir/b.gguf", "n", commit="0" * 40), entry("a.gguf", "o", commit=commit)]
    done = refreshed(hub, *models)
    facts = {"size": 5000, "sha256": SHA}
    found = [
        {key: model["file"][0].get(key) for key in ("size", "sha256", "commit")} for model in applied(done, *models)
    ]
    assert found == [{**facts, "commit": None}, {**facts, "commit": commit}, {**facts, "commit": commit}]
    assert [(change.model, change.key) for change in done.changes] == [
        ("m", "size"),
        ("m", "sha256"),
        ("n", "size"),
        ("n", "sha256"),
        ("n", "commit"),
        ("o", "size"),
        ("o", "sha256"),
    ]
    assert (done.compared, done.left, done.elsewhere, done.problems) == (3, 0, 0, [])
    assert len([seen for seen in hub.seen() if "/revision/" in seen.target]) == 1
    pinned = applied(refreshed(hub, *models, pin=True), *models)
    assert pinned[0]["file"][0]["commit"] == commit
    assert models[0] == entry()


def test_equal_values_are_not_changes(hub: Hub) -> None:
    """A digest in upper case is equal, and the digest of the pointer is kept."""
    hub.add("O/R", {"a.gguf": DATA})
    pointer = lfs_pointer_sha1(SHA, len(DATA))
    known = entry(size=5000, sha256=SHA.upper(), lfs_pointer_sha1=pointer)
    done = refreshed(hub, known)
    assert (done.changes, done.compared) == ([], 1)


def test_all_facts_of_a_replaced_file_are_updated(hub: Hub) -> None:
    """Otherwise they would contradict each other."""
    hub.add("O/R", {"a.gguf": NEWER})
    pointer = lfs_pointer_sha1(SHA, len(DATA))
    known = entry(size=5000, sha256=SHA, lfs_pointer_sha1=pointer)
    done = refreshed(hub, known)
    assert applied(done, known)[0]["file"][0] == {
        **entry()["file"][0],
        "size": 5005,
        "sha256": NEW_SHA,
        "lfs_pointer_sha1": lfs_pointer_sha1(NEW_SHA, 5005),
    }
    assert [(change.key, change.old, change.new) for change in done.changes][:2] == [
        ("size", 5000, 5005),
        ("sha256", SHA, NEW_SHA),
    ]


def test_a_known_digest_is_never_lost(hub: Hub) -> None:
    """Not if the Hub states none (a file outside LFS), nor if the file, the revision or the repository is gone."""
    hub.add("O/R", {"a.gguf": DATA, "small": b"x" * 9})
    known: dict[str, Any] = {"size": 9, "sha256": SHA, "commit": "0" * 40}
    models = [
        entry("small", **known),
        entry("small", "larger", **{**known, "size": 8}),
        entry("gone.gguf", "gone", **known),
        entry("a.gguf", "revision", URL.replace("main", "nope").format("a.gguf"), **known),
        entry("a.gguf", "repo", URL.replace("O/R", "O/None").format("a.gguf"), **known),
    ]
    done = refreshed(hub, *models)
    assert done.changes == []
    assert (done.compared, done.left) == (1, 4)
    messages = " / ".join(problem.message for problem in done.problems)
    for text in (
        "model larger, file small: the size of small has changed",
        "O/R no longer has gone.gguf",
        "nope",
        "O/None",
    ):
        assert text in messages


def test_a_small_file_gets_its_size(hub: Hub) -> None:
    """If no known value could contradict it."""
    hub.add("O/R", {"small": b"x" * 9})
    assert applied(refreshed(hub, entry("small")), entry("small"))[0]["file"][0]["size"] == 9


def test_other_addresses_are_left_alone(hub: Hub) -> None:
    """Also one of the Hub's form at another host; one at HF_ENDPOINT is the Hub's."""
    hub.add("O/R", {"a.gguf": DATA})
    models = [
        entry(url="https://example.com/a.gguf"),
        entry(name="n", url=URL.replace("huggingface.co", "example.com").format("a.gguf")),
        entry(name="o", url=f"{hub.endpoint}/O/R/resolve/main/a.gguf?download=true"),
    ]
    done = refreshed(hub, *models)
    assert {change.model for change in done.changes} == {"o"}
    assert (done.elsewhere, done.compared) == (2, 1)
    assert applied(done, *models)[2]["file"][0]["sha256"] == SHA


def test_a_hub_that_is_down_is_asked_once(hub: Hub) -> None:
    """Known values are kept, and no other repository is tried."""
    hub.down = True
    models = [entry(sha256=SHA), entry(name="n", url=URL.replace("O/R", "O/S").format("a.gguf"))]
    done = refreshed(hub, *models)
    assert (done.changes, done.left) == ([], 2)
    assert [type(problem) for problem in done.problems] == [NetworkError]
    assert len({seen.target for seen in hub.seen()}) == 1


def test_mirrors_are_not_asked(hub: Hub) -> None:
    """Nothing could prove what they state."""
    hub.down = True
    with Hub() as mirror:
        mirror.add("O/R", {"a.gguf": DATA})
        context = ResolveContext(endpoints=Endpoints(hub=hub.endpoint, mirrors=(mirror.endpoint,)), retries=0)
        answers = ask_hub([entry()], context)
        assert [type(answer) for answer in answers.values()] == [NetworkError]
        assert mirror.seen() == []


def test_offline_nothing_is_asked(hub: Hub) -> None:
    """And no value is lost."""
    context = ResolveContext(Network(offline=True), Endpoints(hub=hub.endpoint))
    done = compare([entry(sha256=SHA)], {"m"}, ask_hub([entry(sha256=SHA)], context), context, pin=True)
    assert done.changes == []
    assert "offline" in done.problems[0].message
