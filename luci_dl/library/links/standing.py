"""Links as they are now: whether their names are what luci made, and of the files that are installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.disk.layout import OnError
from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.library.folder import skip
from luci_dl.library.links import entries as names
from luci_dl.library.links.entries import Entry
from luci_dl.library.links.place import links_folder
from luci_dl.library.links.record import Link, records


def source_of(link: Link, entry: Entry) -> Path | None:
    """The installed file that the name is of; None if luci wrote the content."""
    return link.folder / entry.source if entry.kind == "file" else None


def is_entry_current(link: Link, entry: Entry) -> bool:
    """Whether what luci made still is what it should be: a hard link to the file that is installed now, say."""
    source = source_of(link, entry)
    if names.state_of(entry, source) != "ours":
        return False
    if entry.kind != "file" or source is None or entry.how in ("copy", "reflink"):
        return True
    if entry.how == "symlink":
        return entry.content == os.fsencode(source)  # after a move on one disk the old path leads to the same file
    try:
        return os.path.samefile(entry.path, source)
    except OSError:
        return False


def is_current(link: Link) -> bool:
    """Whether no name of it has the bytes of an earlier version."""
    return not any(_is_outdated(link, entry) for entry in link.entries)


def _is_outdated(link: Link, entry: Entry) -> bool:
    return names.state_of(entry, source_of(link, entry)) == "ours" and not is_entry_current(link, entry)


@frozen
class Checked:
    """A link, and what is wrong with it: each path with a reason."""

    link: Link
    problems: tuple[tuple[Path, str], ...]


def examine(on_error: OnError) -> Iterator[Checked]:
    """All links, with what is wrong with each."""
    for link in records(on_error):
        problems = []
        for entry in link.entries:
            try:
                problem = _problem(link, entry)
            except LuciError as error:
                problem = error.message
            if problem:
                problems.append((entry.path, problem))
        yield Checked(link, tuple(problems))


def _problem(link: Link, entry: Entry) -> str:
    """What is wrong with one name; empty if nothing is."""
    source = source_of(link, entry)
    state = names.state_of(entry, source)
    if state == "missing":
        return "is missing"
    if state == "foreign":
        return "is not what luci made there"
    if source and not os.path.exists(source):
        return f"belongs to {source}, which is missing"
    if _is_outdated(link, entry):
        return "has the bytes of an earlier version"
    return ""


def all_links(on_error: OnError = skip) -> Sequence[Link]:
    """Every link that luci has made."""
    return list(records(on_error)) if os.path.isdir(links_folder()) else []
