"""`luci outdated` and `luci upgrade` as a user runs them, against a Hub and a server whose files change in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli import shapes
from tests.cli.shapes import misfits
from tests.cli.shop import DATA, OTHER, Shop, assert_refused, sha256
from tests.procs import luci
from tests.servers import FaultyServer, faults
from tests.servers.hub import Hub

THIRD = make_gguf(300_000, seed=2)
REFERENCE = "hf:me/model:Q4_K_M"
FILE = "me/model/m-Q4_K_M.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that stands in for the real one, with one model."""
    with Hub() as hub:
        hub.add("me/model", {"m-Q4_K_M.gguf": DATA, "README.md": b"one"})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def compared(*names: str, code: int = 0) -> dict[str, Any]:
    """What `luci outdated NAME... --json` says of each model."""
    ended = luci("outdated", *names, "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    (line,) = map(json.loads, ended.stdout.splitlines())
    assert not misfits(line, [shapes.STANDING])
    return {one["name"]: one for one in line}


def states(*names: str, code: int = 0) -> dict[str, str]:
    return {name: one["state"] for name, one in compared(*names, code=code).items()}


def as_of_version_1(models: Path, name: str) -> None:
    """Make the receipt as an older luci wrote it."""
    path = models / ".luci" / f"{name}.receipt"
    facts = json.loads(path.read_text())
    for key in ("asked", "validator", "commit", "kept"):
        del facts[key]
    path.write_text(json.dumps(facts | {"v": 1}))


def test_a_new_commit_with_the_same_file_is_not_outdated(hub: Hub, models: Path) -> None:
    """Digests count, not commits; with other bytes it is outdated, and what an upgrade fetches is the file."""
    assert luci("install", REFERENCE).returncode == 0
    hub.repos["me/model"].revisions["main"]["README.md"] = b"two"
    assert compared()[REFERENCE]["state"] == "current"
    hub.repos["me/model"].revisions["main"]["m-Q4_K_M.gguf"] = OTHER
    found = compared()[REFERENCE]
    assert (found["state"], found["fetch"]) == ("outdated", len(OTHER))
    assert (found["installed"], found["available"]) == (sha256(DATA), sha256(OTHER))
    ended = luci("outdated", REFERENCE)
    assert "outdated" in ended.stdout
    assert (models / FILE).read_bytes() == DATA


def test_what_is_gone_or_pinned_is_said_to_be_so(hub: Hub) -> None:
    """And a repository that takes a token now is unknown."""
    commit = hub.repos["me/model"].commit("main")
    hub.add("me/other", {"o-Q4_K_M.gguf": DATA})
    hub.add("me/shut", {"s-Q4_K_M.gguf": DATA})
    words = [REFERENCE, f"hf:me/model@{commit}/README.md", "hf:me/other", "hf:me/shut"]
    assert luci("install", *words).returncode == 0
    del hub.repos["me/other"]
    hub.repos["me/shut"].disabled = True
    found = compared()
    assert {name: one["state"] for name, one in found.items()} == dict(
        zip(words, ["current", "pinned", "gone", "unknown"], strict=True)
    )
    assert "commit" in found[words[1]]["reason"]
    assert "has no repository me/other" in found["hf:me/other"]["reason"]
    hub.repos["me/model"].revisions["main"] = {"m-Q8_0.gguf": DATA}
    assert states(REFERENCE) == {REFERENCE: "gone"}


def test_the_selection_is_asked_again(hub: Hub, models: Path) -> None:
    """A new file that was not selected does not matter, one that was does, and the small ones are compared, too."""
    files = hub.repos["me/model"].revisions["main"]
    files.update({"config.json": b"{}", "mmproj-F16.gguf": OTHER})
    assert luci("install", "hf:me/model", "--include", "*.gguf", "--include", "*.json").returncode == 0
    files["notes.txt"] = b"new"
    assert states() == {"hf:me/model": "current"}
    files["more.json"] = b"{}"
    found = compared()["hf:me/model"]
    assert (found["state"], found["fetch"]) == ("outdated", 2)
    del files["more.json"]
    files["config.json"] = b"[]"
    assert states() == {"hf:me/model": "outdated"}


def test_an_option_that_left_a_file_out_is_remembered(hub: Hub) -> None:
    hub.repos["me/model"].revisions["main"]["mmproj-F16.gguf"] = OTHER
    assert luci("install", REFERENCE, "--no-projector", "-o", "mine.gguf").returncode == 0
    assert states() == {REFERENCE: "current"}


def test_a_receipt_of_an_older_luci_cannot_tell_until_the_next_install(hub: Hub, models: Path) -> None:
    """Then the question is noted, and nothing is fetched."""
    assert luci("install", REFERENCE).returncode == 0
    as_of_version_1(models, FILE)
    found = compared()[REFERENCE]
    assert (found["state"], "older luci" in found["reason"]) == ("unknown", True)
    before = len(hub.seen("store"))
    assert "already installed" in luci("install", REFERENCE).stderr
    assert len(hub.seen("store")) == before
    assert states() == {REFERENCE: "current"}


def test_a_plain_address_is_compared_by_its_validator(server: FaultyServer, home: Path) -> None:
    """Without one it cannot be told; with a digest it is pinned; another length is enough."""
    tagged = server.serve("/tagged.gguf", DATA)
    bare = server.serve("/bare.gguf", DATA, [faults.no_etag()] * 9)
    pinned = server.serve("/pinned.gguf", DATA)
    assert luci("install", tagged, bare, f"{pinned}#sha256={sha256(DATA)}").returncode == 0
    assert states() == {tagged: "current", bare: "unknown", pinned: "pinned"}
    assert "1 of 3 models up to date, 1 pinned" in luci("outdated").stderr
    server.serve("/tagged.gguf", OTHER)
    server.serve("/bare.gguf", make_gguf(400_000), [faults.no_etag()] * 9)
    assert states() == {tagged: "outdated", bare: "outdated", pinned: "pinned"}
    server.serve("/tagged.gguf", b"", [faults.status(404)] * 9)
    assert states(tagged) == {tagged: "gone"}


def test_the_catalog_is_what_its_models_are_compared_with(shop: Shop) -> None:
    """No server is asked where it states digests; an entry that was taken out is gone."""
    shop.sell("one")
    shop.sell("two")
    assert luci("install", "one", "two").returncode == 0
    requests = len(shop.server.exchanges())
    shop.sell("one", OTHER)
    assert states() == {"one": "outdated", "two": "current"}
    assert len(shop.server.exchanges()) == requests
    shop.file.write_text("")
    assert set(states().values()) == {"gone"}


def test_a_server_that_cannot_be_asked_is_exit_code_4_and_the_others_are_listed(shop: Shop, hub: Hub) -> None:
    """The list stands on stdout, the error on stderr."""
    shop.sell("one")
    assert luci("install", "one", REFERENCE).returncode == 0
    hub.close()
    assert states(code=4) == {"one": "current", REFERENCE: "unknown"}
    ended = luci("outdated", "--all")
    assert ended.returncode == 4
    assert "current" in ended.stdout
    assert "1 model could not be asked" in ended.stderr
    assert "1 of 2 models up to date" in ended.stderr


def test_offline_the_catalog_alone_is_asked(shop: Shop, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is enough for its models; the others are unknown."""
    shop.sell("one")
    assert luci("install", "one", REFERENCE).returncode == 0
    shop.sell("one", OTHER)
    asked = len(hub.seen())
    assert states("--offline", code=4) == {"one": "outdated", REFERENCE: "unknown"}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert states(code=4) == {"one": "outdated", REFERENCE: "unknown"}
    assert len(hub.seen()) == asked


def test_one_repository_is_asked_each_question_that_was_asked(hub: Hub) -> None:
    """Two installs of it, with different options, are two models."""
    hub.repos["me/model"].revisions["main"].update({"a.json": b"1"})
    assert luci("install", "hf:me/model").returncode == 0
    assert luci("install", "hf:me/model", "--include", "*.json").returncode == 0
    hub.repos["me/model"].revisions["main"].update({"b.json": b"2"})
    ended = luci("outdated", "--json")
    assert sorted(one["state"] for one in json.loads(ended.stdout)) == ["current", "outdated"]


def test_a_receipt_with_a_strange_question_is_no_crash(hub: Hub, models: Path) -> None:
    """Another user of the folder may have written it."""
    assert luci("install", REFERENCE).returncode == 0
    path = models / ".luci" / f"{FILE}.receipt"
    facts = json.loads(path.read_text())
    strange = {"include": "a", "output": True, "projector": "no", "all_files": ["x"], "new": "x"}
    path.write_text(json.dumps(facts | {"asked": strange}))
    assert states() == {REFERENCE: "current"}


def test_a_name_that_is_not_installed_is_refused(home: Path) -> None:
    assert_refused(luci("outdated", "mistral"), 3, "mistral is not installed")
    assert luci("outdated").returncode == 0
    assert luci("outdated", "--json").stdout == "[]\n"
