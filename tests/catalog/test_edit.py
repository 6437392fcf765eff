"""A catalog file is edited in place: everything else is kept, writes are atomic, and one process writes at a time."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import BUILT_IN
from luci_dl.catalog.edit import Added, Change, add, values_of, with_changes
from luci_dl.catalog.entries import read_entries
from luci_dl.catalog.file import CatalogFile
from luci_dl.catalog.refresh import update
from luci_dl.errors import Interrupted, ResolveError, StorageError, UsageError
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from tests.procs import files_left, lock_is_free
from tests.servers.hub import Hub

ENTRY = '[[model]]\nname = "{0}"\n\n[[model.file]]\nfilename = "{0}.gguf"\nurl = "https://h/{0}.gguf"\n'
ON_HUB = ENTRY.replace("https://h/", "https://huggingface.co/O/R/resolve/main/")
MINE = f"# Mine.\n\n# the one\n{ENTRY.format('one')}"


@pytest.fixture
def catalog_file(tmp_path: Path) -> CatalogFile:
    """A catalog of one model."""
    catalog_file = CatalogFile(tmp_path / "folder" / "catalog.toml", tmp_path / "lucis" / "catalog.lock")
    catalog_file.file.parent.mkdir()
    catalog_file.file.write_text(MINE)
    return catalog_file


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A file with two other models."""
    file = tmp_path / "more.toml"
    file.write_text(f"# From afar.\n\n# another\n{ENTRY.format('two')}{ENTRY.format('three')}")
    return file


def context_of(hub: Hub) -> ResolveContext:
    return ResolveContext(endpoints=Endpoints(hub=hub.endpoint), retries=0)


def assert_nothing_else(catalog_file: CatalogFile) -> None:
    """Beside the catalog nothing was left, and the lock is free."""
    assert files_left(catalog_file.file.parent) == ["catalog.toml"]
    assert lock_is_free(catalog_file.lock)


def test_entries_are_added_below_with_their_comments(catalog_file: CatalogFile, more: Path) -> None:
    """The old text is kept byte for byte; the comment at the top of the other file is not copied."""
    assert add(catalog_file, more) == Added(("two", "three"), (), ())
    assert catalog_file.file.read_text() == f"{MINE}\n# another\n{ENTRY.format('two')}\n{ENTRY.format('three')}"
    assert_nothing_else(catalog_file)


def test_adding_again_changes_nothing(catalog_file: CatalogFile, more: Path) -> None:
    """Not even the mtime."""
    add(catalog_file, more)
    before = catalog_file.file.stat()
    assert add(catalog_file, more) == Added((), (), ("two", "three"))
    assert (catalog_file.file.stat().st_ino, catalog_file.file.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_the_first_entries_create_the_file(catalog_file: CatalogFile, more: Path) -> None:
    """And its folders."""
    catalog_file = CatalogFile(catalog_file.file.parent / "a" / "b" / "catalog.toml", catalog_file.lock)
    add(catalog_file, more)
    assert [model.reference for model in read_entries(catalog_file.file.read_text(), "")] == ["two", "three"]
    assert files_left(catalog_file.file.parent) == ["catalog.toml"]


@pytest.mark.parametrize("query", ["", "?token=secret"])
def test_only_the_owner_can_read_a_catalog_with_secrets(catalog_file: CatalogFile, more: Path, query: str) -> None:
    """A signed address in it is as good as a password; any other catalog keeps its mode."""
    catalog_file.file.chmod(0o644)
    more.write_text(ENTRY.format("two").replace("https://h/two.gguf", f"https://h/two.gguf{query}"))
    add(catalog_file, more)
    assert catalog_file.file.stat().st_mode & 0o777 == (0o600 if query else 0o644)


def test_an_entry_of_the_same_name_is_replaced_only_by_force(catalog_file: CatalogFile, more: Path) -> None:
    """In its place; the case of the name does not matter."""
    more.write_text(f"# new\n{ENTRY.format('ONE')}size = 7\n{ENTRY.format('two')}")
    with pytest.raises(UsageError, match="already has ONE") as caught:
        add(catalog_file, more)
    assert "--force" in caught.value.hint
    assert catalog_file.file.read_text() == MINE
    assert_nothing_else(catalog_file)
    assert add(catalog_file, more, force=True) == Added(("two",), ("ONE",), ())
    assert catalog_file.file.read_text() == f"# Mine.\n\n# new\n{ENTRY.format('ONE')}size = 7\n\n{ENTRY.format('two')}"


@pytest.mark.parametrize(
    ("mine", "theirs", "problem"),
    [
        (MINE, ENTRY.format("two").replace('"two"\n', '"two"\naliases = ["One"]\n'), '"One" appears twice'),
        (MINE, "[[model]]\nname = 1\n", "more.toml, model 1, name"),
        (MINE, "[[model", "more.toml is not TOML"),
        (MINE, "# nothing\n", "no [[model]] entry"),
        ("[[model]]\nname = 1\n", ENTRY.format("two"), "catalog.toml, model 1, name"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_result_that_could_not_be_read_is_not_written(
    catalog_file: CatalogFile, more: Path, mine: str, theirs: str, problem: str, force: bool
) -> None:
    """With or without force; the message names the file and the problem."""
    catalog_file.file.write_text(mine)
    more.write_text(theirs)
    with pytest.raises(UsageError) as caught:
        add(catalog_file, more, force=force)
    assert problem in caught.value.message
    assert catalog_file.file.read_text() == mine
    assert files_left(catalog_file.file.parent) == ["catalog.toml"]
    assert lock_is_free(catalog_file.lock)


INLINE = """\
# My models.

model = [
  # mine
  { name = "x", file = [{ filename = "x", url = "https://h/x", size = 1 }] }, # short
  { name = "y", file = [{ filename = "y", url = "https://h/y" }] } # no comma
  # the end
]
"""


def test_a_catalog_of_inline_tables_keeps_its_form(catalog_file: CatalogFile, more: Path) -> None:
    """And all its comments, and those above the added entries."""
    catalog_file.file.write_text(INLINE)
    assert add(catalog_file, more) == Added(("two", "three"), (), ())
    text = catalog_file.file.read_text()
    assert [model.reference for model in read_entries(text, "")] == ["x", "y", "two", "three"]
    assert text.startswith(INLINE.replace("} # no comma\n  # the end\n]\n", "}, # no comma\n  # the end\n"))
    assert "    # another\n" in text
    more.write_text(ENTRY.format("X"))
    assert add(catalog_file, more, force=True) == Added((), ("X",), ())
    text = catalog_file.file.read_text()
    assert [model.reference for model in read_entries(text, "")] == ["X", "y", "two", "three"]
    assert all(comment in text for comment in ("# My models.", "# mine", "}, # short", "# no comma", "# the end"))


def test_entries_of_inline_tables_are_added_as_tables(catalog_file: CatalogFile, more: Path) -> None:
    """The catalog keeps its form."""
    more.write_text(INLINE)
    add(catalog_file, more)
    text = catalog_file.file.read_text()
    assert text.startswith(f'{MINE}\n[[model]]\nname = "x"\n')
    assert values_of(text)[1:] == values_of(INLINE)


@pytest.mark.parametrize("text", ["", "# Mine.\n", "model = []\n"])
def test_entries_can_be_added_to_a_catalog_without_models(catalog_file: CatalogFile, more: Path, text: str) -> None:
    catalog_file.file.write_text(text)
    add(catalog_file, more)
    written = catalog_file.file.read_text()
    assert [model.reference for model in read_entries(written, "")] == ["two", "three"]
    assert written.startswith(text.removesuffix("]\n"))
    assert "# another" in written


def test_equal_entries_are_recognized_in_any_form(catalog_file: CatalogFile, more: Path) -> None:
    """Whatever their quotes, spaces, order, comments and line ends."""
    more.write_bytes(b"[[model]] # x\r\nname='one'\r\nfile = [{url='https://h/one.gguf', filename='one.gguf'}]\r\n")
    assert add(catalog_file, more) == Added((), (), ("one",))
    assert catalog_file.file.read_text() == MINE


def test_windows_line_ends_are_accepted(catalog_file: CatalogFile, more: Path) -> None:
    """In both files; the result has only one kind."""
    more.write_bytes(more.read_bytes().replace(b"\n", b"\r\n"))
    catalog_file.file.write_bytes(MINE.encode().replace(b"\n", b"\r\n"))
    add(catalog_file, more)
    assert catalog_file.file.read_bytes().decode() == (
        f"{MINE}\n# another\n{ENTRY.format('two')}\n{ENTRY.format('three')}"
    )


def test_a_symlink_and_the_mode_are_kept(catalog_file: CatalogFile, more: Path, tmp_path: Path) -> None:
    """Such files may be under version control, and their addresses may contain passwords."""
    catalog_file.file.chmod(0o600)
    link = CatalogFile(tmp_path / "link.toml", catalog_file.lock)
    link.file.symlink_to("folder/catalog.toml")
    add(link, more)
    assert os.readlink(link.file) == "folder/catalog.toml"
    assert catalog_file.file.stat().st_mode & 0o777 == 0o600
    assert "three" in catalog_file.file.read_text()


def test_a_failing_disk_leaves_the_catalog_unchanged(
    catalog_file: CatalogFile, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, and leaves no other file."""

    def refuse(*_args: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr("os.fdatasync", refuse)
    with pytest.raises(StorageError, match="No space left"):
        add(catalog_file, more)
    assert catalog_file.file.read_text() == MINE
    assert_nothing_else(catalog_file)


def test_concurrent_additions_lose_nothing(catalog_file: CatalogFile, tmp_path: Path) -> None:
    """Each waits for the lock."""
    files = [tmp_path / f"{n}.toml" for n in range(8)]
    for file in files:
        file.write_text(ENTRY.format(f"m{file.stem}"))
    threads = [threading.Thread(target=add, args=(catalog_file, file)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [model.reference for model in read_entries(catalog_file.file.read_text(), "")]
    assert sorted(names) == ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "one"]


BY_HAND = """\
# My models.

# the small one
[[model]]
name = "one"  # a "good" one
aliases = [
    "uno",  # in Spanish
    "eins",
]


[[model.file]]
url = "https://h/O/R/resolve/main/a#b.gguf"  # moved once
filename = "a.gguf"
size=1    # bytes
# proved by hand:
"sha256" = 'old # not a comment'

[[model.file]]
filename = "b.gguf"
url = "https://h/b.gguf"

# the other one
[[model]]
name = "other"
file = [ { filename = "c.gguf", url = "https://h/c.gguf" } ]
license = '''
# not a comment'''
# the last one
[[model]]
name = "last"
file = [ { filename = "d.gguf", url = "https://h/d.gguf" } ]
# the end
"""
SOUND = BY_HAND.replace("a#b.gguf", "a.gguf").replace("old # not a comment", "a1" * 32)


def test_everything_else_is_kept_byte_for_byte(catalog_file: CatalogFile, more: Path) -> None:
    """In the built-in catalog, and in one written by hand to which entries are added."""
    assert with_changes(BUILT_IN.read_text(), []) == BUILT_IN.read_text()
    assert with_changes(BY_HAND, []) == BY_HAND
    catalog_file.file.write_text(SOUND)
    add(catalog_file, more)
    assert catalog_file.file.read_text() == f"{SOUND}\n# another\n{ENTRY.format('two')}\n{ENTRY.format('three')}"


def test_replacing_an_entry_leaves_its_neighbours_alone(catalog_file: CatalogFile, more: Path) -> None:
    """Their comments and blank lines too; the comments of the replaced entry go with it."""
    catalog_file.file.write_text(SOUND)
    head, rest = SOUND.split("# the small one\n")
    other, last = rest.index("# the other one\n"), rest.index("# the last one\n")
    more.write_text(f"# new\n{ENTRY.format('one')}")
    add(catalog_file, more, force=True)
    one = f"{head}# new\n{ENTRY.format('one')}\n"
    assert catalog_file.file.read_text() == one + rest[other:]
    more.write_text(f"# new\n{ENTRY.format('other')}")
    add(catalog_file, more, force=True)
    assert catalog_file.file.read_text() == f"{one}# new\n{ENTRY.format('other')}" + rest[last:]


def test_a_fact_is_changed_in_place() -> None:
    """Comments, order, spaces and the form of everything else are kept."""
    changes = [Change("one", "a.gguf", "size", 1, 2_000), Change("one", "a.gguf", "sha256", "old", "new")]
    assert with_changes(BY_HAND, changes) == BY_HAND.replace("size=1 ", "size=2_000 ").replace(
        "'old # not a comment'", '"new"'
    )


def test_a_new_fact_is_inserted_in_order() -> None:
    """After the last key that precedes it, wherever the user put that one; also if other facts change."""
    facts: dict[str, tuple[int | None, int | str]] = {
        "commit": (None, "c"),
        "lfs_pointer_sha1": (None, "d"),
        "size": (1, 2),
    }
    changes = [Change("one", "a.gguf", key, old, new) for key, (old, new) in facts.items()]
    assert with_changes(BY_HAND, changes).splitlines()[12:20] == [
        'url = "https://h/O/R/resolve/main/a#b.gguf"  # moved once',
        'filename = "a.gguf"',
        'commit = "c"',
        "size=2    # bytes",
        "# proved by hand:",
        "\"sha256\" = 'old # not a comment'",
        'lfs_pointer_sha1 = "d"',
        "",
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n\n# the end\n"])
def test_the_last_line_may_lack_a_line_break(ending: str) -> None:
    """Many editors leave it out."""
    text = with_changes(MINE.rstrip("\n") + ending, [Change("one", "one.gguf", "size", None, 7)])
    assert text == f"{MINE}size = 7\n" + ending.removeprefix("\n")


def test_a_fact_in_an_inline_table_is_changed_in_place() -> None:
    """A new one at its end."""
    changes = [Change("x", "x", "size", 1, 2_000), Change("y", "y", "sha256", None, "new")]
    assert with_changes(INLINE, changes) == (
        INLINE.replace("size = 1 ", "size = 2_000 ").replace('"https://h/y" ', '"https://h/y", sha256 = "new"')
    )


def test_a_long_list_is_fast() -> None:
    aliases = "".join(f'    "a{n}",\n' for n in range(20_000))
    text = BY_HAND.replace('    "uno",  # in Spanish\n', aliases)
    assert with_changes(text, [Change("one", "a.gguf", "size", 1, 2)]) == text.replace("size=1 ", "size=2 ")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FACTS = st.fixed_dictionaries(
    {}, optional={"size": st.integers(0, 2**63 - 1), "sha256": TEXT, "commit": TEXT, "role": TEXT}
)


@given(old=FACTS, new=FACTS, more=FACTS)
def test_whatever_is_written_can_be_read(old: dict[str, Any], new: dict[str, Any], more: dict[str, Any]) -> None:
    """Any text, with quotes, control characters and TOML syntax in it; new or replacing another."""
    text = MINE
    facts: dict[str, Any] = {"filename": "one.gguf", "url": "https://h/one.gguf"}
    for values in (old, new, more):
        changes = [Change("one", "one.gguf", key, facts.get(key), value) for key, value in values.items()]
        text, facts = with_changes(text, changes), {**facts, **values}
        assert values_of(text) == [{"name": "one", "file": [facts]}]
    assert text.startswith(MINE.removesuffix(ENTRY.format("one")))


def test_an_update_writes_the_facts_of_the_hub_once(catalog_file: CatalogFile) -> None:
    """Comments and order are kept, and the second time there is nothing to write."""
    catalog_file.file.write_text(f"# Mine.\n\n{ON_HUB.format('a')}# why: it is small\n")
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000})
        dry = update(catalog_file, context_of(hub), dry_run=True)
        assert len(dry.changes) == 2
        assert "size" not in catalog_file.file.read_text()
        assert update(catalog_file, context_of(hub)).changes == dry.changes
        text = catalog_file.file.read_text()
        assert text.startswith(f"# Mine.\n\n{ON_HUB.format('a')}size = 2_000\nsha256 = ")
        assert text.endswith('"\n# why: it is small\n')
        assert update(catalog_file, context_of(hub)).changes == []
        assert catalog_file.file.read_text() == text
    assert_nothing_else(catalog_file)


def test_an_update_is_limited_to_the_models_that_are_named(catalog_file: CatalogFile) -> None:
    """By alias, too; an unknown name is an error with suggestions."""
    catalog_file.file.write_text(
        ON_HUB.format("a") + ON_HUB.format("b").replace('"b"\n', '"b"\naliases = ["bee"]\n') + ENTRY.format("c")
    )
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000, "b.gguf": b"y" * 3000})
        changes = update(catalog_file, context_of(hub), ["BEE", "c"]).changes
        with pytest.raises(ResolveError, match="did you mean bee"):
            update(catalog_file, context_of(hub), ["beee"])
    assert {change.model for change in changes} == {"b"}


def test_changes_made_while_the_hub_is_asked_are_kept(catalog_file: CatalogFile, more: Path) -> None:
    """The file is read again once it is locked."""
    catalog_file.file.write_text(ON_HUB.format("a"))
    with Hub() as hub:
        hub.add("O/R", {"a.gguf": b"x" * 2000})
        hub.stall = True
        thread = threading.Thread(target=update, args=(catalog_file, context_of(hub)))
        thread.start()
        assert hub.stalled.wait(10)
        add(catalog_file, more)
        hub.release.set()
        thread.join(10)
    models = read_entries(catalog_file.file.read_text(), "")
    assert [model.reference for model in models] == ["a", "two", "three"]
    assert models[0].size == 2000


def test_an_update_that_is_interrupted_writes_nothing(catalog_file: CatalogFile) -> None:
    """Even while it waits for the Hub."""
    catalog_file.file.write_text(ON_HUB.format("a"))
    token = CancelToken()
    with Hub() as hub:
        hub.stall = True

        def cancel() -> None:
            hub.stalled.wait(10)
            token.cancel()

        threading.Thread(target=cancel, daemon=True).start()
        with pytest.raises(Interrupted):
            update(catalog_file, ResolveContext(endpoints=Endpoints(hub=hub.endpoint), token=token))
    assert catalog_file.file.read_text() == ON_HUB.format("a")
    assert files_left(catalog_file.file.parent) == ["catalog.toml"]
    assert lock_is_free(catalog_file.lock)
