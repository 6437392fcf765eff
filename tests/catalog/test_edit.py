"""The user's catalog file is changed at one stroke, one process at a time, and never into one that none can read."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.catalog.edit import Added, CatalogFile, add, update
from luci_dl.catalog.entries import read_entries
from luci_dl.errors import Interrupted, ResolveError, StorageError, UsageError
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from tests.procs import files_left, lock_is_free
from tests.servers.hub import Hub

ENTRY = '[[model]]\nname = "{0}"\n\n[[model.file]]\nfilename = "{0}.gguf"\nurl = "https://h/{0}.gguf"\n'
ON_HUB = ENTRY.replace("https://h/", "https://huggingface.co/O/R/resolve/main/")
MINE = f"# Mine.\n\n# the one\n{ENTRY.format('one')}"


@pytest.fixture
def shelf(tmp_path: Path) -> CatalogFile:
    """A catalog of one model."""
    shelf = CatalogFile(tmp_path / "shelf" / "catalog.toml", tmp_path / "lucis" / "catalog.lock")
    shelf.file.parent.mkdir()
    shelf.file.write_text(MINE)
    return shelf


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A file with two other models."""
    file = tmp_path / "more.toml"
    file.write_text(f"# From afar.\n\n# another\n{ENTRY.format('two')}{ENTRY.format('three')}")
    return file


def web_of(hub: Hub) -> ResolveContext:
    return ResolveContext(endpoints=Endpoints(hub=hub.endpoint), retries=0)


def assert_nothing_else(shelf: CatalogFile) -> None:
    """Beside the catalog nothing was left, and the lock is free."""
    assert files_left(shelf.file.parent) == ["catalog.toml"]
    assert lock_is_free(shelf.lock)


def test_entries_are_added_below_with_their_comments(shelf: CatalogFile, more: Path) -> None:
    """What was there stays to the byte; what stands at the top of the other file is about that file."""
    assert add(shelf, more) == Added(("two", "three"), (), (), lost_comments=False)
    assert shelf.file.read_text() == f"{MINE}\n# another\n{ENTRY.format('two')}\n{ENTRY.format('three')}"
    assert_nothing_else(shelf)


def test_adding_again_changes_nothing(shelf: CatalogFile, more: Path) -> None:
    """Not even the file's time."""
    add(shelf, more)
    before = shelf.file.stat()
    assert add(shelf, more) == Added((), (), ("two", "three"), lost_comments=False)
    assert (shelf.file.stat().st_ino, shelf.file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_first_models_make_the_file(shelf: CatalogFile, more: Path) -> None:
    """And the folders that lead there."""
    shelf = CatalogFile(shelf.file.parent / "a" / "b" / "catalog.toml", shelf.lock)
    add(shelf, more)
    assert [model.reference for model in read_entries(shelf.file.read_text(), "")] == ["two", "three"]
    assert files_left(shelf.file.parent) == ["catalog.toml"]


def test_an_entry_of_the_same_name_is_replaced_only_by_force(shelf: CatalogFile, more: Path) -> None:
    """In its place; in upper or lower case the name is the same."""
    more.write_text(f"# new\n{ENTRY.format('ONE')}size = 7\n{ENTRY.format('two')}")
    with pytest.raises(UsageError, match="has ONE already") as caught:
        add(shelf, more)
    assert "--force" in caught.value.hint
    assert shelf.file.read_text() == MINE
    assert_nothing_else(shelf)
    assert add(shelf, more, force=True) == Added(("two",), ("ONE",), (), lost_comments=False)
    assert shelf.file.read_text() == f"# Mine.\n\n# new\n{ENTRY.format('ONE')}size = 7\n\n{ENTRY.format('two')}"


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        (MINE, ENTRY.format("two").replace('"two"\n', '"two"\naliases = ["One"]\n'), '"One" is there twice'),
        (MINE, "[[model]]\nname = 1\n", "more.toml, model 1, name"),
        (MINE, "[[model", "more.toml is not TOML"),
        (MINE, "# nothing\n", "no [[model]] in it"),
        ("[[model]]\nname = 1\n", ENTRY.format("two"), "catalog.toml, model 1, name"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_what_could_not_be_read_again_is_not_written(
    shelf: CatalogFile, more: Path, mine: str, theirs: str, said: str, force: bool
) -> None:
    """With or without force; the message says in which file what stands."""
    shelf.file.write_text(mine)
    more.write_text(theirs)
    with pytest.raises(UsageError) as caught:
        add(shelf, more, force=force)
    assert said in caught.value.message
    assert shelf.file.read_text() == mine
    assert files_left(shelf.file.parent) == ["catalog.toml"]
    assert lock_is_free(shelf.lock)


def test_a_catalog_in_another_form_loses_its_comments_and_that_is_said(shelf: CatalogFile, more: Path) -> None:
    """It still says the same."""
    shelf.file.write_text(
        'model = [\n  # mine\n  { name = "x", file = [{ filename = "x", url = "https://h/x" }] },\n]\n'
    )
    assert add(shelf, more).lost_comments
    text = shelf.file.read_text()
    assert [model.reference for model in read_entries(text, "")] == ["x", "two", "three"]


def test_a_symlink_stays_one_and_a_mode_stays_as_it_is(shelf: CatalogFile, more: Path, tmp_path: Path) -> None:
    """People keep such files among others under version control; and addresses may have passwords in them."""
    shelf.file.chmod(0o600)
    link = CatalogFile(tmp_path / "link.toml", shelf.lock)
    link.file.symlink_to("shelf/catalog.toml")
    add(link, more)
    assert os.readlink(link.file) == "shelf/catalog.toml"
    assert shelf.file.stat().st_mode & 0o777 == 0o600
    assert "three" in shelf.file.read_text()


def test_a_disk_that_refuses_leaves_the_catalog_as_it_was(
    shelf: CatalogFile, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, with nothing beside it."""

    def refuse(*_args: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr("os.fdatasync", refuse)
    with pytest.raises(StorageError, match="No space left"):
        add(shelf, more)
    assert shelf.file.read_text() == MINE
    assert_nothing_else(shelf)


def test_two_that_add_at_once_lose_nothing(shelf: CatalogFile, tmp_path: Path) -> None:
    """Each waits for the other."""
    files = [tmp_path / f"{n}.toml" for n in range(8)]
    for file in files:
        file.write_text(ENTRY.format(f"m{file.stem}"))
    threads = [threading.Thread(target=add, args=(shelf, file)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [model.reference for model in read_entries(shelf.file.read_text(), "")]
    assert sorted(names) == ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "one"]


def test_an_update_writes_what_the_hub_says_and_twice_is_once(shelf: CatalogFile) -> None:
    """Comments and order stay, and the second time there is nothing to write."""
    shelf.file.write_text(f"# Mine.\n\n{ON_HUB.format('a')}# why: it is small\n")
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000})
        dry = update(shelf, web_of(hub), dry_run=True)
        assert len(dry.result.changes) == 2
        assert "size" not in shelf.file.read_text()
        assert update(shelf, web_of(hub)).result.changes == dry.result.changes
        text = shelf.file.read_text()
        assert text.startswith(f"# Mine.\n\n{ON_HUB.format('a')}size = 2_000\nsha256 = ")
        assert text.endswith('"\n# why: it is small\n')
        assert update(shelf, web_of(hub)).result.changes == []
        assert shelf.file.read_text() == text
    assert_nothing_else(shelf)


def test_an_update_is_limited_to_the_models_that_are_named(shelf: CatalogFile) -> None:
    """By alias, too; a name that the file does not have is an error, with those that come near."""
    shelf.file.write_text(
        ON_HUB.format("a") + ON_HUB.format("b").replace('"b"\n', '"b"\naliases = ["bee"]\n') + ENTRY.format("c")
    )
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000, "b.gguf": b"y" * 3000})
        changes = update(shelf, web_of(hub), ["BEE", "c"]).result.changes
        with pytest.raises(ResolveError, match="did you mean bee"):
            update(shelf, web_of(hub), ["beee"])
    assert {change.model for change in changes} == {"b"}


def test_what_others_wrote_while_the_hub_was_asked_stays(shelf: CatalogFile, more: Path) -> None:
    """The file is read again once it is locked."""
    shelf.file.write_text(ON_HUB.format("a"))
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000})
        hub.stall = True
        thread = threading.Thread(target=update, args=(shelf, web_of(hub)))
        thread.start()
        assert hub.stalled.wait(10)
        add(shelf, more)
        hub.release.set()
        thread.join(10)
    models = read_entries(shelf.file.read_text(), "")
    assert [model.reference for model in models] == ["a", "two", "three"]
    assert models[0].size == 2000


def test_an_update_that_is_interrupted_writes_nothing(shelf: CatalogFile) -> None:
    """While it waits for the Hub as at any other moment."""
    shelf.file.write_text(ON_HUB.format("a"))
    token = CancelToken()
    with Hub() as hub:
        hub.stall = True

        def cancel() -> None:
            hub.stalled.wait(10)
            token.cancel()

        threading.Thread(target=cancel, daemon=True).start()
        with pytest.raises(Interrupted):
            update(shelf, ResolveContext(endpoints=Endpoints(hub=hub.endpoint), token=token))
    assert shelf.file.read_text() == ON_HUB.format("a")
    assert files_left(shelf.file.parent) == ["catalog.toml"]
    assert lock_is_free(shelf.lock)
