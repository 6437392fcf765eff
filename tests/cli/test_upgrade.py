"""`luci upgrade` as a user runs it: all files of the new version or none, and nothing of the old one is left."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import fs
from luci_dl.errors import StorageError
from luci_dl.events import Event, Superseded, Warned
from luci_dl.library.running import running
from tests.cli.shapes import events_misfits
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused
from tests.cli.test_outdated import FILE, REFERENCE, as_of_version_1, states
from tests.interrupting import wait_for_part
from tests.procs import Spawned, luci, wait_until
from tests.servers import FaultyServer, faults
from tests.servers.hub import Hub
from tests.servers.registry import MODEL, PROJECTOR, Registry

OLD = [f"big-Q4_K_M-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
NEW = [f"big-Q4_K_M-{number:05}-of-00002.gguf" for number in (1, 2)]
BIG = "me/big"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that stands in for the real one, with a model of one file and one of three shards."""
    with Hub() as hub:
        hub.add("me/model", {"m-Q4_K_M.gguf": DATA})
        hub.add(BIG, dict.fromkeys(OLD, DATA))
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def test_what_is_outdated_is_installed_again(hub: Hub, models: Path) -> None:
    """Its path is printed, and the next time it is up to date."""
    assert luci("install", REFERENCE).returncode == 0
    ended = luci("upgrade", REFERENCE)
    assert (ended.returncode, ended.stdout, "is up to date" in ended.stderr) == (0, "", True)
    hub.repos["me/model"].revisions["main"]["m-Q4_K_M.gguf"] = OTHER
    ended = luci("upgrade", REFERENCE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{models / FILE}\n"
    assert (models / FILE).read_bytes() == OTHER
    assert states() == {REFERENCE: "current"}
    assert luci("upgrade", REFERENCE).stdout == ""
    assert_nothing_left(models, "me/", "me/model/", FILE)


def test_files_that_the_new_version_does_not_have_are_removed(hub: Hub, models: Path) -> None:
    """With fewer shards, the old ones go; the dry run says so and changes nothing."""
    assert luci("install", "hf:me/big").returncode == 0
    hub.repos[BIG].revisions["main"] = dict.fromkeys(NEW, OTHER)
    dry = luci("upgrade", "hf:me/big", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert all(f"Would remove {models}/{BIG}/{name}" in dry.stderr for name in OLD)
    assert all(f"{name} (300kB): would be downloaded" in dry.stdout for name in NEW)
    assert sorted(path.name for path in (models / BIG).iterdir()) == sorted(OLD)
    ended = luci("upgrade", "hf:me/big")
    assert ended.stdout.splitlines() == [f"{models}/{BIG}/{name}" for name in NEW], ended.stderr
    assert f"Removed {models}/{BIG}/{OLD[0]}" in ended.stderr
    assert_nothing_left(models, "me/", "me/big/", *(f"{BIG}/{name}" for name in NEW))
    (listed,) = luci_dl.installed()
    assert (listed.state, listed.names) == ("ok", tuple(f"{BIG}/{name}" for name in NEW))


def test_files_that_stay_belong_to_the_new_version(hub: Hub, models: Path) -> None:
    """Nothing is fetched for them; where only a file was dropped, nothing is fetched at all."""
    files = hub.repos["me/model"].revisions["main"]
    files.update({"a.json": b"1", "b.json": b"2"})
    assert luci("install", "hf:me/model", "--all-files").returncode == 0
    files["a.json"] = b"3"
    assert luci("upgrade", "hf:me/model").returncode == 0
    del files["b.json"]
    fetched = len(hub.seen("store"))
    ended = luci("upgrade", "hf:me/model")
    assert ended.returncode == 0, ended.stderr
    assert len(hub.seen("store")) == fetched
    assert_nothing_left(models, "me/", "me/model/", FILE, "me/model/a.json")
    assert (models / "me/model/a.json").read_bytes() == b"3"
    (listed,) = luci_dl.installed()
    assert (listed.state, listed.names) == ("ok", (FILE, "me/model/a.json"))
    assert states() == {"hf:me/model": "current"}


def test_a_file_that_another_model_needs_stays(shop: Shop, models: Path) -> None:
    """It belongs to that one from then on."""
    shop.sell("one", files=["a.gguf", "b.gguf"])
    shop.sell("two", files=["b.gguf", "c.gguf"])
    assert luci("install", "two", "one").returncode == 0
    shop.sell("one", OTHER, files=["a.gguf"])
    ended = luci("upgrade", "one")
    assert ended.returncode == 0, ended.stderr
    assert_nothing_left(models, "a.gguf", "b.gguf", "c.gguf")
    assert {model.reference: (model.state, model.names) for model in luci_dl.installed()} == {
        "one": ("ok", ("a.gguf",)),
        "two": ("ok", ("b.gguf", "c.gguf")),
    }
    assert luci("verify").returncode == 0


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_an_upgrade_says_of_old_files_is_true(shop: Shop, models: Path, dry: list[str]) -> None:
    """One without receipt and one that another model needs stay; one that was deleted is not mentioned."""
    shop.sell("one", files=["a.gguf", "b.gguf", "c.gguf", "d.gguf", "e.gguf"])
    shop.sell("two", files=["e.gguf", "f.gguf"])
    assert luci("install", "two", "one").returncode == 0
    (models / ".luci/b.gguf.receipt").unlink()
    (models / "c.gguf").unlink()
    shop.sell("one", OTHER, files=["a.gguf"])
    ended = luci("upgrade", "one", *dry)
    assert ended.returncode == 0, ended.stderr
    remove = "Would remove" if dry else "Removed"
    lines = [line for line in ended.stderr.splitlines() if line.startswith((remove, "Left alone"))]
    assert lines == [
        f"Left alone {models}/b.gguf: luci has no receipt for it; delete it yourself if nothing else needs it",
        f"{remove} {models}/d.gguf: the new version does not have it",
        f"Left alone {models}/e.gguf: two also needs it",
    ]
    assert_nothing_left(models, "a.gguf", "b.gguf", "e.gguf", "f.gguf", *(["d.gguf"] if dry else []))


def test_an_old_file_that_cannot_be_removed_is_not_said_to_be(
    shop: Shop, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version is installed; a warning says why the old file is still there, and `clean` removes it."""
    shop.sell("m", files=["a.gguf", "b.gguf"])
    assert luci("install", "m").returncode == 0
    shop.sell("m", OTHER, files=["a.gguf"])
    real, events = fs.unlink, list[Event]()

    def unlink(path: Path) -> bool:
        if path == models / "b.gguf":
            raise StorageError(f"cannot delete {path}: busy", "Close it.")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "unlink", unlink)
        assert luci_dl.upgrade("m", emit=events.append) == [models / "a.gguf"]
    assert not [event for event in events if isinstance(event, Superseded)]
    assert any("b.gguf: busy" in event.message for event in events if isinstance(event, Warned))
    assert ((models / "a.gguf").read_bytes(), (models / "b.gguf").read_bytes()) == (OTHER, DATA)
    assert luci("clean").returncode == 0
    assert_nothing_left(models, "a.gguf")


def test_a_file_of_others_at_a_new_name_is_not_replaced(shop: Shop, models: Path) -> None:
    """Nothing has changed then."""
    shop.sell("one", files=["a.gguf"])
    assert luci("install", "one").returncode == 0
    (models / "b.gguf").write_bytes(b"mine")
    shop.sell("one", OTHER, files=["a.gguf", "b.gguf"])
    assert_refused(luci("upgrade", "one"), 5, "luci did not install it")
    assert (models / "a.gguf").read_bytes() == DATA
    assert (models / "b.gguf").read_bytes() == b"mine"
    assert_nothing_left(models, "a.gguf", "b.gguf")


def test_wrong_bytes_leave_the_old_version_whole(hub: Hub, models: Path) -> None:
    """All files or none: also those that arrived right."""
    assert luci("install", "hf:me/big").returncode == 0
    repo = hub.repos[BIG]
    repo.revisions["main"] = dict.fromkeys(OLD, OTHER)
    repo.swapped[OLD[2]] = DATA
    assert_refused(luci("upgrade", "hf:me/big"), 5, OLD[2])
    assert all((models / BIG / name).read_bytes() == DATA for name in OLD)
    assert luci("path", "hf:me/big").returncode == 0
    assert_nothing_left(models, "me/", "me/big/", *(f"{BIG}/{name}" for name in OLD))


def test_an_interrupt_leaves_the_old_version_whole(shop: Shop, models: Path) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    shop.sell("m", OTHER, [faults.stall(150_000)])
    with Spawned("upgrade", "m") as run:
        wait_for_part(models, "m.gguf")
        run.signal(signal.SIGINT)
        assert run.wait() == -signal.SIGINT
    assert (models / "m.gguf").read_bytes() == DATA
    assert luci("verify").returncode == 0
    assert_nothing_left(models, "m.gguf")


def test_an_upgrade_that_was_kept_is_resumed_by_upgrade(shop: Shop, models: Path) -> None:
    """The message says so: an install would leave the old version where it is."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("config", "set", "on_interrupt", "keep").returncode == 0
    shop.sell("m", OTHER, [faults.stall(150_000)])
    with Spawned("upgrade", "m") as run:
        wait_until(lambda: any(each.done == 150_000 for each in running([models])), 20)
        run.signal(signal.SIGINT)
        assert run.wait() == -signal.SIGINT
    assert ("Run the upgrade command again to resume" in run.err, "install" in run.err) == (True, False), run.err
    shop.sell("m", OTHER)
    assert luci("upgrade", "m").returncode == 0
    assert (models / "m.gguf").read_bytes() == OTHER
    assert_nothing_left(models, "m.gguf")


def test_what_cannot_be_upgraded_is_said(hub: Hub, server: FaultyServer, models: Path) -> None:
    """Gone and unknown are exit code 3, pinned is none; with --all the others are upgraded all the same."""
    bare = server.serve("/bare.gguf", DATA, [faults.no_etag()] * 9)
    pinned = f"hf:me/model@{hub.repos['me/model'].commit('main')}"
    assert luci("install", REFERENCE, "hf:me/big", bare).returncode == 0
    hub.repos["me/model"].revisions["main"]["m-Q4_K_M.gguf"] = OTHER
    del hub.repos[BIG]
    assert_refused(luci("upgrade", "hf:me/big"), 3, "hf:me/big is gone", "It stays installed")
    assert_refused(luci("upgrade", bare), 3, "cannot tell", "--force")
    ended = luci("upgrade", "--all", "--yes")
    assert (ended.returncode, ended.stdout) == (3, f"{models / FILE}\n")
    assert f"cannot tell whether {bare} is up to date" in ended.stderr
    assert (models / FILE).read_bytes() == OTHER
    assert luci("remove", REFERENCE, "--yes").returncode == 0
    hub.repos["me/model"].revisions["main"]["m-Q4_K_M.gguf"] = DATA
    assert luci("install", pinned).returncode == 0
    hub.repos["me/model"].revisions["main"]["m-Q4_K_M.gguf"] = OTHER
    ended = luci("upgrade", pinned)
    assert (ended.returncode, f"{pinned} is pinned" in ended.stderr) == (0, True)


def test_all_is_asked_for(shop: Shop, models: Path) -> None:
    """Without a terminal it takes --yes; names and --all exclude each other."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    shop.sell("m", OTHER)
    assert_refused(luci("upgrade"), 2, "no model given", "--all")
    assert_refused(luci("upgrade", "--all", "m"), 2, "takes no names")
    ended = luci("upgrade", "--all")
    assert (ended.returncode, "1 model, 300kB" in ended.stderr, "--yes" in ended.stderr) == (2, True, True)
    assert (models / "m.gguf").read_bytes() == DATA
    with Spawned("upgrade", "--all", terminal=True) as asking:
        asking.wait_for("Upgrade 1 model, 300kB? [y/N]")
        asking.press("y\n")
        assert asking.wait() == 0
    assert (models / "m.gguf").read_bytes() == OTHER


def test_a_receipt_of_an_older_luci_is_asked_about_with_the_default_options(hub: Hub, models: Path) -> None:
    """If its files have the same names, that is what was asked; the receipt notes it."""
    assert luci("install", REFERENCE, "hf:me/big").returncode == 0
    as_of_version_1(models, FILE)
    assert luci("upgrade", REFERENCE).returncode == 0
    assert states(REFERENCE) == {REFERENCE: "current"}
    for name in OLD:
        as_of_version_1(models, f"{BIG}/{name}")
    hub.repos[BIG].revisions["main"] = dict.fromkeys(NEW, OTHER)
    assert_refused(luci("upgrade", "hf:me/big"), 3, "options of its install are not recorded")
    assert luci("path", "hf:me/big").returncode == 0


def test_a_plain_address_with_another_validator_is_fetched_again(server: FaultyServer, models: Path) -> None:
    address = server.serve("/m.gguf", DATA)
    assert luci("install", address).returncode == 0
    server.serve("/m.gguf", OTHER)
    assert luci("upgrade", address).returncode == 0
    assert (models / "m.gguf").read_bytes() == OTHER
    assert states() == {address: "current"}


def test_events_and_the_api(shop: Shop, models: Path) -> None:
    """The events have their shapes; the function returns the paths."""
    shop.sell("m", files=["a.gguf", "b.gguf"])
    assert luci("install", "m").returncode == 0
    shop.sell("m", OTHER, files=["a.gguf"])
    printed = [json.loads(line) for line in luci("upgrade", "m", "--json").stdout.splitlines()]
    assert not events_misfits(printed)
    kinds = [line["event"] for line in printed]
    assert (kinds[0], kinds[-1], "superseded" in kinds) == ("compared", "installed", True)
    shop.sell("m", make_gguf(200_000), files=["a.gguf"])
    assert [found.state for found in luci_dl.outdated()] == ["outdated"]
    assert luci_dl.upgrade("m", dry_run=True) == [models / "a.gguf"]
    assert (models / "a.gguf").read_bytes() == OTHER
    assert luci_dl.upgrade() == [models / "a.gguf"]
    assert [found.state for found in luci_dl.outdated()] == ["current"]


def test_a_tag_of_a_registry_moves(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small files of the new version are kept, though the model itself may be the same."""
    with Registry() as registry:
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        registry.push("library/m", "latest", (MODEL, DATA), (PROJECTOR, DATA[:100_000]))
        assert luci("install", "ollama:m").returncode == 0
        assert states() == {"ollama:m:latest": "current"}
        registry.push("library/m", "latest", (MODEL, DATA), (PROJECTOR, OTHER))
        assert states() == {"ollama:m:latest": "outdated"}
        assert luci("upgrade", "ollama:m").returncode == 0
        manifest = registry.manifests["library/m", "latest"]
        assert states() == {"ollama:m:latest": "current"}
    assert_nothing_left(models, "m-latest.gguf", "m-latest.mmproj.gguf")
    assert (models / "m-latest.mmproj.gguf").read_bytes() == OTHER
    receipt = json.loads((models / ".luci/m-latest.gguf.receipt").read_text())
    assert base64.b64decode(receipt["kept"]["manifest"]) == manifest


def test_links_follow(shop: Shop, tmp_path: Path) -> None:
    """To the new files."""
    shop.sell("m", files=["a.gguf"])
    assert luci("install", "m").returncode == 0
    folder = tmp_path / "linked"
    assert luci("link", f"{folder}/", "m").returncode == 0
    assert (folder / "a.gguf").read_bytes() == DATA
    shop.sell("m", OTHER, files=["b.gguf"])
    assert luci("upgrade", "m").returncode == 0
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("b.gguf", OTHER)]


def test_a_forced_install_of_an_old_receipt_keeps_the_new_one(server: FaultyServer, models: Path) -> None:
    """The digest in it is that of the new file."""
    address = server.serve("/m.gguf", DATA)
    assert luci("install", address).returncode == 0
    as_of_version_1(models, "m.gguf")
    server.serve("/m.gguf", OTHER)
    assert luci("install", address, "--force").returncode == 0
    assert (models / "m.gguf").read_bytes() == OTHER
    assert luci("verify").returncode == 0
