"""The user's own catalog file: entries added, facts refreshed. Written at one stroke, one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luci_dl.cancel import run_cancellable
from luci_dl.catalog.catalog import text_of
from luci_dl.catalog.entries import examine, read_entries, words_of
from luci_dl.catalog.refresh import Refreshed, ask_hub, refresh
from luci_dl.catalog.toml_text import changed, entries_of, joined, values_of
from luci_dl.disk import fs, lock
from luci_dl.errors import ResolveError, UsageError
from luci_dl.model import Model
from luci_dl.sources.context import ResolveContext
from luci_dl.text import nearest, printable


@dataclass(frozen=True)
class CatalogFile:
    """A catalog file that luci may write.

    Attributes:
        file: it need not be there yet.
        lock: who has it may write.
    """

    file: Path
    lock: Path

    def text(self) -> str:
        """What it says; nothing when it is not there. Raises: UsageError."""
        return text_of(self.file).replace("\r\n", "\n") if os.path.lexists(self.file) else ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes while the block runs."""
        with lock.file_lock(self.lock):
            yield

    def write(self, text: str) -> None:
        """Replace what it says; where a symlink stands, what that leads to."""
        file = Path(os.path.realpath(self.file))
        fs.make_folder(file.parent)
        fs.write_file(file, text.encode(), keep_mode=True)


@dataclass(frozen=True)
class Added:
    """What came of adding entries.

    Attributes:
        new, replaced, same: their names; `same` were there already, word for word.
        lost_comments: True when comments of the user's file could not be kept.
    """

    new: tuple[str, ...]
    replaced: tuple[str, ...]
    same: tuple[str, ...]
    lost_comments: bool


@dataclass(frozen=True)
class Updated:
    """What came of comparing entries with the Hub. `lost_comments` as in `Added`."""

    result: Refreshed
    lost_comments: bool


def add(shelf: CatalogFile, source: Path, *, force: bool = False) -> Added:
    """Put the entries of the file `source` into the catalog, with their comments.

    Args:
        force: replace entries of the same name.
    Raises: UsageError, when either file is broken or has a name or an alias that the other has; StorageError.
    """
    more = text_of(source).replace("\r\n", "\n")
    if not read_entries(more, printable(str(source))):
        raise UsageError(f"{printable(str(source))} has no [[model]] in it", "There is nothing to add.")
    with shelf.held():
        text = shelf.text()
        _read(text, shelf)
        added, result = _merged(text, more)
        where = printable(str(shelf.file))
        if added.replaced and not force:
            names = ", ".join(added.replaced)
            raise UsageError(f"{where} has {names} already, with other facts", "Replace that with --force.")
        if problems := examine(result, where)[1]:
            raise UsageError(problems[0], "Nothing was written. Give one of them another name.")
        if added.new or added.replaced:
            shelf.write(result)
        return added


def _merged(text: str, more: str) -> tuple[Added, str]:
    """What would come of adding the entries of the text `more` to the text, and the text then."""
    head, entries = entries_of(text)
    known = values_of(text)
    places = {values["name"].casefold(): place for place, values in enumerate(known)}
    names: dict[str, list[str]] = {"new": [], "replaced": [], "same": []}
    for entry, values in zip(entries_of(more)[1], values_of(more), strict=True):
        place = places.get(values["name"].casefold())
        kind = "new" if place is None else "same" if known[place] == values else "replaced"
        names[kind].append(values["name"])
        if place is None:
            entries.append(entry)
        elif kind == "replaced":
            entries[place] = entry
    lost = _loses_comments(text, joined(*entries_of(text)))
    new, replaced, same = map(tuple, names.values())
    return Added(new, replaced, same, lost), joined(head, entries)


def update(
    shelf: CatalogFile, web: ResolveContext, names: Sequence[str] = (), *, pin: bool = False, dry_run: bool = False
) -> Updated:
    """Compare the entries with the Hub, and write what has changed.

    Args:
        names: the models that are meant, by name or alias; none means all.
        pin: write the commit of files that have none, too.
    Raises: UsageError; ResolveError, for a name; StorageError; Interrupted. What the Hub failed to say is no error.
    """
    models = _chosen(_read(shelf.text(), shelf), names, shelf)
    meant = {model.reference for model in models}
    answers = ask_hub([values for values in values_of(shelf.text()) if values["name"] in meant], web)

    def write() -> Updated:
        with shelf.held():
            text = shelf.text()  # others may have written in the meantime
            _read(text, shelf)
            result = refresh(values_of(text), meant, answers, web, pin=pin)
            new = changed(text, result.models) if result.changes else text
            web.token.check()
            if result.changes and not dry_run:
                shelf.write(new)
            return Updated(result, _loses_comments(text, new))

    return run_cancellable(write, web.token)  # it waits for a lock


def _read(text: str, shelf: CatalogFile) -> tuple[Model, ...]:
    return read_entries(text, printable(str(shelf.file)))


def _chosen(models: Sequence[Model], names: Sequence[str], shelf: CatalogFile) -> Sequence[Model]:
    """Raises: ResolveError"""
    if not names:
        return models
    known = {word.casefold(): model for model in models for word in words_of(model)}
    for name in names:
        if name.casefold() not in known:
            near = nearest(name, known, 3)
            guess = f"; did you mean {', '.join(map(printable, near))}?" if near else ""
            message = f'there is no model "{printable(name)}" in {printable(str(shelf.file))}{guess}'
            raise ResolveError(message, "`luci catalog list` shows what is in it.")
    return [known[name.casefold()] for name in names]


def _loses_comments(old: str, new: str) -> bool:
    there = {line.strip() for line in new.splitlines()}
    return any(line.strip().startswith("#") and line.strip() not in there for line in old.splitlines())
