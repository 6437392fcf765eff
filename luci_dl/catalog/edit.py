"""Edits a catalog file: adds entries and changes facts, and leaves everything else as the user wrote it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, Comment, InlineTable, Item, Key, Table

from luci_dl.catalog.catalog import text_of
from luci_dl.catalog.entries import FILE_KEYS, read_entries
from luci_dl.catalog.file import CatalogFile
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.text import printable

Values = Mapping[str, Any]
"""A table, as tomllib reads it."""


@frozen
class Added:
    """The names of added entries; those in `same` were in the catalog already, with equal values."""

    new: tuple[str, ...]
    replaced: tuple[str, ...]
    same: tuple[str, ...]


@frozen
class Change:
    """A changed fact of one file; `old` is None if there was none."""

    model: str
    file: str
    key: str
    old: str | int | None
    new: str | int


def add(catalog_file: CatalogFile, source: Path, *, force: bool = False) -> Added:
    """Add the entries of the file `source` to the catalog, with the comments above them.

    Args:
        force: replace entries of the same name.

    Raises: UsageError, when either file is broken, or a name or an alias is taken; StorageError.
    """
    more = text_of(source).replace("\r\n", "\n")
    if not read_entries(more, printable(str(source))):
        raise UsageError(f"{printable(str(source))} has no [[model]] entry", "There is nothing to add.")
    with catalog_file.locked():
        text = catalog_file.text()
        read_entries(text, catalog_file.shown)
        added = _sorted_out(values_of(text), values_of(more))
        if added.replaced and not force:
            names = ", ".join(added.replaced)
            raise UsageError(f"{catalog_file.shown} already has {names}, with other values", "Replace with --force.")
        if added.new or added.replaced:
            catalog_file.write(_with_entries(text, more, added.same))
        return added


def values_of(text: str) -> list[dict[str, Any]]:
    """The models of a sound catalog file."""
    models: list[dict[str, Any]] = tomllib.loads(text).get("model", [])
    return models


def with_changes(text: str, changes: Iterable[Change]) -> str:
    """The text of a sound catalog file with changed facts; a new one takes its place in the order of `FILE_KEYS`."""
    document = _parsed(text)
    models = document.get("model", [])
    files = {(model["name"], file["filename"]): file for model in models for file in model["file"]}
    for change in sorted(changes, key=lambda change: change.old is None):  # `_insert` leaves a table for output only
        file, new = files[change.model, change.file], change.new
        value = tomlkit.value(f"{new:_}") if isinstance(new, int) else tomlkit.string(new)
        if change.old is None and isinstance(file, Table):
            _insert(file.value.body, change.key, value)
        else:
            file[change.key] = value
    return document.as_string()


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:  # tomllib has read it, so this is a difference between the two
        raise UsageError(f"the catalog cannot be edited: {printable(str(error))}", "Edit it by hand.") from error


def _sorted_out(known: Sequence[Values], more: Sequence[Values]) -> Added:
    by_name = {values["name"].casefold(): values for values in known}
    names: dict[str, list[str]] = {"new": [], "replaced": [], "same": []}
    for values in more:
        old = by_name.get(values["name"].casefold())
        names["new" if old is None else "same" if old == values else "replaced"].append(values["name"])
    return Added(*map(tuple, names.values()))


def _with_entries(text: str, more: str, same: Collection[str]) -> str:
    """`text` with the entries of `more` but those in `same`: in the place of one with that name, or at the end."""
    document = _parsed(text)
    models = document.get("model", [])
    places = {model["name"].casefold(): place for place, model in enumerate(models)}
    entries = zip(values_of(more), _split(_parsed(more))[1:], strict=True)
    wanted = [(values, entry.strip("\n")) for values, entry in entries if values["name"] not in same]
    if isinstance(models, Array):
        for values, entry in wanted:
            _put_inline(models, places.get(values["name"].casefold()), values, entry)
        return document.as_string()
    pieces, appended = _split(document), []
    for values, entry in wanted:
        place = places.get(values["name"].casefold())
        if place is None:
            appended.append(entry)
        else:
            old = pieces[place + 1]
            pieces[place + 1] = entry + (old[len(old.rstrip("\n")) :] or "\n")
    return "\n\n".join(filter(None, ["".join(pieces).rstrip("\n"), *appended])) + "\n"


def _split(document: tomlkit.TOMLDocument) -> list[str]:
    """The text above the first entry, and then the text of each, with the comments right above it."""
    models = document.get("model", [])
    if isinstance(models, Array):  # of inline tables
        return ["", *(tomlkit.dumps({"model": [model.unwrap()]}) for model in models)]
    entries = [tomlkit.dumps({"model": AoT([model], parsed=True)}) for model in models]
    text = document.as_string()
    pieces = [text[: len(text) - sum(map(len, entries))], *entries]
    bodies = [document.body[: -1 if entries else None], *(model.value.body for model in models)]
    for place, body in enumerate(bodies[:-1]):  # to the parser, comments belong to the table above them
        lines = pieces[place].splitlines(keepends=True)
        first = len(lines) - _comments_at_end(body)
        pieces[place] = "".join(lines[:first])
        pieces[place + 1] = "".join(lines[first:]) + pieces[place + 1]
    return pieces


def _comments_at_end(body: Sequence[tuple[Key | None, Item]]) -> int:
    """How many comment lines end the text of a table."""
    last = body[-1][1] if body else None
    if isinstance(last, AoT):
        return _comments_at_end(last[-1].value.body)
    return len(list(takewhile(lambda pair: isinstance(pair[1], Comment), reversed(body))))


def _put_inline(models: Array, place: int | None, values: Values, entry: str) -> None:
    """Put an entry into a list of inline tables; at the end, the comments above it stay."""
    if place is not None:
        models[place] = _inline(values)
        return
    for comment in takewhile(lambda line: line.startswith("#"), entry.splitlines()):
        models.add_line(comment=comment.removeprefix("#").strip())
    models.append(_inline(values))


def _inline(values: Values) -> InlineTable:
    table = tomlkit.inline_table()
    for key, value in values.items():
        table.append(key, list(map(_inline, value)) if key == "file" else value)
    return table


def _insert(body: list[tuple[Key | None, Item]], key: str, value: Item) -> None:
    """Put a pair after the last one that goes before it. The table can be written then, but not be looked up in."""
    before = FILE_KEYS[: FILE_KEYS.index(key)]
    place = max(place for place, (known, _) in enumerate(body) if known is not None and known.key in before)
    body[place][1].trivia.trail = "\n"  # the last line of the file may lack it
    body.insert(place + 1, (tomlkit.key(key), value))
