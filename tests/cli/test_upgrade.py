"""`luci outdated` and `upgrade`: by the digests of the files, all files of a model or none."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import crash_points
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.procs import files_left, luci
from tests.servers import FaultyServer
from tests.servers.hub import Hub
from tests.servers.registry import MODEL, Registry

NEWER = make_gguf(300_000, seed=5)
FOLDER = "me/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that stands in for the real one."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def standing(*names: str, code: int = 0) -> list[dict[str, Any]]:
    """What `luci outdated` says of each model."""
    ended = luci("outdated", *names, "--json")
    assert ended.returncode == code, ended.stderr
    rows: list[dict[str, Any]] = json.loads(ended.stdout)
    return rows


def state(*names: str, code: int = 0) -> list[str]:
    return [row["state"] for row in standing(*names, code=code)]


def there(models: Path) -> dict[str, bytes]:
    """The installed files."""
    return {
        name: (models / name).read_bytes()
        for name in files_left(models)
        if not name.startswith(".luci/") and not name.endswith("/")
    }


# --- what is out of date


def test_a_new_commit_with_the_same_files_is_current(hub: Hub) -> None:
    """Commits and dates do not count."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "README.md": b"one"})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "README.md": b"two"})
    assert state() == ["current"]
    hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER, "README.md": b"two"})
    (row,) = standing()
    assert (row["state"], row["installed"], row["available"]) == ("outdated", sha256(DATA), sha256(NEWER))
    assert row["fetch"] == len(NEWER)


def test_the_same_question_is_asked_again(hub: Hub, models: Path) -> None:
    """With the patterns and options of the install."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "mmproj-F16.gguf": OTHER, "a.json": b"1"})
    assert luci("install", "hf:me/model", "--no-projector").returncode == 0
    assert state() == ["current"]
    assert luci("install", "hf:me/model", "--include", "*.json").returncode == 0
    assert state() == ["current", "current"]
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "mmproj-F16.gguf": OTHER, "a.json": b"1", "b.json": b"2"})
    assert sorted(state()) == ["current", "outdated"]


def test_a_commit_and_a_digest_are_pinned(hub: Hub, server: FaultyServer) -> None:
    """There is nothing to ask."""
    repo = hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", f"hf:me/model@{repo.commit('main')}").returncode == 0
    url = server.serve("/m.gguf", DATA)
    assert luci("install", url, "--sha256", sha256(DATA)).returncode == 0
    asked = len(server.exchanges())
    assert (state(), len(server.exchanges())) == (["pinned", "pinned"], asked)
    ended = luci("upgrade", "--all")
    assert (ended.returncode, ended.stderr.count("stays as it is")) == (0, 2)


def test_a_plain_address_is_compared_by_what_its_server_says(server: FaultyServer) -> None:
    """Its validator, and its length."""
    url = server.serve("/m.gguf", DATA)
    assert luci("install", url).returncode == 0
    assert state() == ["current"]
    server.serve("/m.gguf", NEWER)
    assert state() == ["outdated"]
    assert luci("upgrade", url).returncode == 0
    assert state() == ["current"]


def test_what_is_gone_stays_installed(hub: Hub, models: Path) -> None:
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"other.txt": b"x"})
    assert state() == ["gone"]
    ended = luci("upgrade", "hf:me/model")
    assert (ended.returncode, "is gone" in ended.stderr) == (3, True)
    assert there(models) == {f"{FOLDER}/m-Q4_K_M.gguf": DATA}


def test_a_server_that_cannot_be_asked_is_exit_4(hub: Hub, shop: Shop) -> None:
    """The others are listed all the same."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    shop.sell("one")
    assert luci("install", "hf:me/model", "one").returncode == 0
    ended = luci("outdated", "--json", "--offline")
    assert ended.returncode == 4
    assert {row["name"]: row["state"] for row in json.loads(ended.stdout)} == {
        "hf:me/model": "unknown",
        "one": "current",
    }


def test_a_receipt_of_an_older_luci_cannot_tell_until_the_next_install(hub: Hub, models: Path) -> None:
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    receipt = models / ".luci" / FOLDER / "m-Q4_K_M.gguf.receipt"
    facts = json.loads(receipt.read_text())
    for name in ("asked", "validator", "commit", "kept"):
        del facts[name]
    receipt.write_text(json.dumps(facts | {"v": 1}))
    (row,) = standing()
    assert (row["state"], "older luci" in row["reason"]) == ("unknown", True)
    assert luci("upgrade", "hf:me/model").returncode == 3
    assert luci("install", "hf:me/model").returncode == 0
    assert state() == ["current"]


def test_a_tag_of_a_registry_moves(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry() as registry:
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        registry.push("library/m", "latest", (MODEL, DATA))
        assert luci("install", "ollama:m").returncode == 0
        assert state() == ["current"]
        registry.push("library/m", "latest", (MODEL, NEWER))
        assert state() == ["outdated"]
        assert luci("upgrade", "ollama:m").returncode == 0
        assert there(models) == {"m-latest.gguf": NEWER}
        assert state() == ["current"]


# --- upgrades


def test_an_upgrade_replaces_all_files_or_none(hub: Hub, models: Path) -> None:
    """When one of the new files is wrong, all the old ones stay."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "mmproj-F16.gguf": OTHER})
    assert luci("install", "hf:me/model").returncode == 0
    before = there(models)
    repo = hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER, "mmproj-F16.gguf": NEWER})
    repo.swapped["mmproj-F16.gguf"] = DATA
    assert luci("upgrade", "hf:me/model").returncode == 5
    assert there(models) == before
    repo.swapped.clear()
    assert luci("upgrade", "hf:me/model").returncode == 0
    assert set(there(models).values()) == {NEWER}
    assert state() == ["current"]


def test_files_that_only_the_old_version_had_are_removed(hub: Hub, models: Path) -> None:
    """After the new ones are there; a file that both have is not fetched again."""
    hub.add(FOLDER, {"m-Q4_K_M-00001-of-00002.gguf": DATA, "m-Q4_K_M-00002-of-00002.gguf": OTHER})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER})
    ended = luci("upgrade", "hf:me/model")
    assert ended.returncode == 0, ended.stderr
    assert there(models) == {f"{FOLDER}/m-Q4_K_M.gguf": NEWER}
    assert_nothing_left(models, "me/", "me/model/", f"{FOLDER}/m-Q4_K_M.gguf")
    assert state() == ["current"]


def test_a_file_of_both_versions_stays_and_belongs_to_the_new_one(hub: Hub, models: Path) -> None:
    hub.add(FOLDER, {"a.json": b"1", "b.json": b"2"})
    assert luci("install", "hf:me/model", "--all-files").returncode == 0
    hub.add(FOLDER, {"a.json": b"1", "c.json": b"3"})
    assert luci("upgrade", "hf:me/model").returncode == 0
    assert there(models) == {f"{FOLDER}/a.json": b"1", f"{FOLDER}/c.json": b"3"}
    assert state() == ["current"]
    assert len(json.loads(luci("list", "--json").stdout)) == 1


def test_a_dry_run_shows_what_would_be_fetched(hub: Hub, models: Path) -> None:
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER})
    before = files_left(models)
    ended = luci("upgrade", "--all", "--dry-run")
    assert (ended.returncode, "m-Q4_K_M.gguf" in ended.stdout) == (0, True)
    assert (files_left(models), there(models)) == (before, {f"{FOLDER}/m-Q4_K_M.gguf": DATA})


def test_all_asks_first(hub: Hub) -> None:
    """Without a terminal and without --yes it refuses."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER})
    assert_refused(luci("upgrade", "--all"), 2, "--yes")
    assert luci("upgrade", "--all", "--yes").returncode == 0
    assert state() == ["current"]


def test_a_foreign_file_is_not_replaced(hub: Hub, models: Path) -> None:
    """The new version has a file of a name that somebody else has taken."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    hub.add(FOLDER, {"m-Q4_K_M.gguf": NEWER, "mmproj-F16.gguf": OTHER})
    taken = models / FOLDER / "mmproj-F16.gguf"
    taken.write_bytes(b"mine")
    assert luci("upgrade", "hf:me/model").returncode == 5
    assert there(models) == {f"{FOLDER}/m-Q4_K_M.gguf": DATA, f"{FOLDER}/mmproj-F16.gguf": b"mine"}


@pytest.mark.parametrize("words", [[], ["m", "--all"], ["nosuch"]])
def test_bad_words_get_one_clear_message(shop: Shop, words: list[str]) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert_refused(luci("upgrade", *words), 3 if words == ["nosuch"] else 2)


def test_an_upgrade_that_is_killed_leaves_one_version_whole(tmp_path: Path, server: FaultyServer) -> None:
    """At every change to the disk; the next upgrade completes it, and clean leaves nothing over."""
    files = ("m-1.gguf", "m-2.gguf")
    old, new = make_gguf(20_000), make_gguf(20_000, seed=3)
    shop = Shop(server, tmp_path / "catalog.toml")
    home = tmp_path / "home"
    env = {"LUCI_CATALOG": str(shop.file)}

    def run(*args: str, point: int = -1) -> crash_points.Ended:
        signum = signal.SIGKILL if point >= 0 else 0
        return crash_points.run(*args, home=home, env=env, point=point, signum=signum)

    def start() -> None:
        shop.sell("m", old, files=files)
        assert run("install", "m", "--force").code == 0
        shop.sell("m", new, files=files)

    start()
    points = run("upgrade", "m").points
    for point in range(0, points, 4):
        start()
        assert run("upgrade", "m", point=point).code == -signal.SIGKILL
        assert run("clean").code == 0
        assert {(home / "models" / name).read_bytes() for name in files} in ({old}, {new})
        assert run("upgrade", "m").code == 0
        assert {(home / "models" / name).read_bytes() for name in files} == {new}
