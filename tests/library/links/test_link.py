"""Links of several models to one program: each is removed as a whole, and made of what is installed now."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.errors import Interrupted, LockedError, ResolveError, StorageError
from luci_dl.events import Event
from luci_dl.install.linking import make_links
from luci_dl.library.links.link import changing_links
from tests.disk.hands import install
from tests.procs import Spawned, files_left, lock_is_free

DATA, OTHER = make_gguf(50_000), make_gguf(50_000, seed=1)


@pytest.fixture
def models(home: Path) -> Path:
    """The models folder with a.gguf and b.gguf, and settings that leave no space free."""
    home.mkdir()
    (home / "config.json").write_text('{"min_free": 0}')
    install(home / "models", (DATA, "a.gguf"))
    install(home / "models", (OTHER, "b.gguf"))
    return home / "models"


@pytest.fixture
def ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    (tmp_path / "ollama").mkdir()
    return tmp_path / "ollama"


def records(home: Path) -> list[str]:
    """The records of links. Nobody holds their lock."""
    left = files_left(home / "links")
    assert lock_is_free(home / "links/links.lock")
    return [name for name in left if name.endswith(".json")]


@pytest.mark.parametrize("end", ["unlink", "remove"])
def test_the_presets_of_other_models_stay_and_its_own_goes(home: Path, models: Path, end: str) -> None:
    """All are in one file."""
    luci_dl.link("llama-server", "a.gguf", "b.gguf")
    luci_dl.unlink("llama-server", "a.gguf") if end == "unlink" else luci_dl.remove("a.gguf")
    text = (home / "llama-server.ini").read_text()
    assert ("[a.gguf]" in text, "[b.gguf]" in text, len(records(home))) == (False, True, 1)


@pytest.mark.parametrize("order", ["qrs", "rqs", "srq", "all at once"])
def test_the_last_name_of_a_model_takes_its_blobs_along(home: Path, models: Path, ollama: Path, order: str) -> None:
    """Each of three names may have been the one for which they were made."""
    for name in "qrs":
        luci_dl.link("ollama", "a.gguf", given=name)
    if order == "all at once":
        luci_dl.remove("a.gguf")
    else:
        for name in order:
            luci_dl.unlink("ollama", name)
    assert [path for path in ollama.rglob("*") if path.is_file()] == []
    assert records(home) == []


@pytest.mark.parametrize("name", ["*", " x ", "a\rb", "[x]", "\udcff"])
def test_a_name_that_an_ini_file_cannot_have_is_refused(home: Path, models: Path, name: str) -> None:
    """`*` would hold for all models."""
    with pytest.raises(ResolveError, match="the name of a preset cannot"):
        luci_dl.link("llama-server", "a.gguf", given=name)
    assert not (home / "llama-server.ini").exists()


@pytest.mark.parametrize("folder", ["with\nmodel = x", "not-utf8-\udcff"])
def test_a_path_that_an_ini_file_cannot_have_is_refused(home: Path, tmp_path: Path, folder: str) -> None:
    install(tmp_path / folder, (DATA, "c.gguf"))
    with pytest.raises(ResolveError, match="cannot name"):
        luci_dl.link("llama-server", "c.gguf", folder=tmp_path / folder)
    assert not (home / "llama-server.ini").exists()


def _upgrade(models: Path) -> None:
    luci_dl.remove("a.gguf")
    install(models, (OTHER, "a.gguf"))


@pytest.mark.parametrize(
    "change",
    [
        lambda models: luci_dl.remove("a.gguf"),
        lambda models: luci_dl.move("a.gguf", to=models.parent / "big"),
        _upgrade,
    ],
    ids=["removed", "moved", "upgraded"],
)
def test_what_another_process_changed_meanwhile_is_not_linked(
    home: Path, models: Path, ollama: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    """No name leads nowhere, and no blob has other bytes than its name says."""

    def late(*arguments: Any, **more: Any) -> object:
        change(models)
        return make_links(*arguments, **more)

    monkeypatch.setattr("luci_dl.api.link.make_links", late)
    with pytest.raises(LockedError, match=r"another process has just changed a\.gguf"):
        luci_dl.link("ollama", "b.gguf", "a.gguf")
    assert [path for path in ollama.rglob("*") if not path.is_dir()] == []
    assert records(home) == []


def test_a_link_that_waits_for_another_one_can_be_interrupted(home: Path, models: Path, tmp_path: Path) -> None:
    """However long that one takes: it may be copying."""
    with changing_links(CancelToken()), Spawned("link", f"{tmp_path}/other/", "a.gguf", terminal=True) as luci:
        time.sleep(0.5)
        luci.press("\x03")
        assert luci.wait(3) == -2
    assert (tmp_path / "other").exists() is False
    assert records(home) == []


def test_a_copy_that_hangs_can_be_interrupted(
    home: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one onto a slow stick, whose last sync takes minutes."""
    token = CancelToken()

    def hang(*_: object) -> None:
        token.cancel()
        time.sleep(2)

    monkeypatch.setattr("luci_dl.disk.fs.sync_data", hang)
    monkeypatch.setattr("luci_dl.library.links.record.Link.write", lambda _: None)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        luci_dl.link(f"{tmp_path}/other/", "a.gguf", how="copy", token=token)
    assert time.monotonic() - began < 1
    assert not (tmp_path / "other").exists()


def test_a_file_is_no_folder_for_links(home: Path, models: Path, tmp_path: Path) -> None:
    """Nothing of the link is left, nor when its folder becomes a file later."""
    (tmp_path / "other").write_bytes(b"")
    for dry_run in (True, False):
        with pytest.raises(StorageError, match="is not a folder"):
            luci_dl.link(f"{tmp_path}/other/", "a.gguf", dry_run=dry_run)
    (tmp_path / "other").unlink()
    luci_dl.link(f"{tmp_path}/other/", "a.gguf")
    (tmp_path / "other/a.gguf").unlink()
    (tmp_path / "other").rmdir()
    (tmp_path / "other").write_bytes(b"")
    luci_dl.unlink(f"{tmp_path}/other/", "a.gguf")
    assert records(home) == []


def test_a_link_that_fails_leaves_no_folder(
    home: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be shared, the hint says what is possible."""

    def refuse(_text: str, new: Path) -> None:
        raise StorageError(f"cannot make a symlink {new}", "no")

    monkeypatch.setattr("luci_dl.disk.fs.clone", lambda *_: False)
    monkeypatch.setattr("luci_dl.disk.fs.hard_link", lambda _old, new: refuse("", new))
    monkeypatch.setattr("luci_dl.disk.fs.symlink", refuse)
    with pytest.raises(StorageError) as caught:
        luci_dl.link(f"{tmp_path}/x/y/", "a.gguf")
    assert "--how copy" in caught.value.hint
    assert not (tmp_path / "x").exists()
    assert records(home) == []


def test_a_pipe_among_the_manifests_of_ollama_is_not_waited_for(home: Path, models: Path, ollama: Path) -> None:
    """It is no manifest, to Ollama neither."""
    luci_dl.link("ollama", "a.gguf")
    os.mkfifo(ollama / "manifests/registry.ollama.ai/library/a.gguf/pipe")
    with Spawned("unlink", "ollama", "a.gguf") as luci:
        assert luci.wait(10) == 0
    assert not (ollama / "blobs").exists()
    assert records(home) == []


@pytest.mark.parametrize("wrong", [{"reference": None}, {"given": 3}, {"entries": [{"identity": [1e400]}]}])
def test_a_damaged_record_is_said_so(home: Path, models: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    luci_dl.link(f"{tmp_path}/other/", "a.gguf")
    (path,) = (home / "links").glob("*.json")
    facts = json.loads(path.read_text())
    entries = [{**facts["entries"][0], **each} for each in wrong.get("entries", [{}])]
    path.write_text(json.dumps({**facts, **wrong, "entries": entries}))
    events = list[Event]()
    assert luci_dl.links(events.append) == []
    assert [f"{path} is damaged" in str(event) for event in events] == [True]


def test_where_the_lock_cannot_be_written_a_model_can_be_removed(
    home: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can make a link there either."""
    luci_dl.link(f"{tmp_path}/other/", "a.gguf")

    def refuse(_token: CancelToken) -> None:
        raise StorageError("read-only")

    monkeypatch.setattr("luci_dl.library.links.follow.changing_links", refuse)
    luci_dl.remove("a.gguf")
    assert not (models / "a.gguf").exists()
    assert files_left(tmp_path / "other") == records(home) == []
