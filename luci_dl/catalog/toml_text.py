"""A catalog file as text: written in one form, and changed so that order, form and comments of the rest stay."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from luci_dl.catalog.entries import FILE_KEYS, MODEL_KEYS

Values = Mapping[str, Any]
"""A table, as tomllib reads it."""

_MODEL: dict[str, Any] = {"model": [{}]}
_FILE: dict[str, Any] = {"model": {"file": [{}]}}
"""What the headers [[model]] and [[model.file]] are to tomllib."""
_CLOSING = ("]", "}", '"""', "'''")
"""One of these is in the last line of every statement of several."""


def values_of(text: str) -> list[dict[str, Any]]:
    """The models of a sound catalog file, as its text says them."""
    models: list[dict[str, Any]] = tomllib.loads(text).get("model", [])
    return models


def written(model: Values) -> str:
    """One model in luci's own form."""
    files = [_table("[[model.file]]", file, FILE_KEYS) for file in model["file"]]
    return "\n".join([_table("[[model]]", model, MODEL_KEYS[:-1]), *files])


def joined(head: str, entries: Iterable[str]) -> str:
    """A catalog file of these texts, with an empty line between them."""
    return "\n".join(part.strip("\n") + "\n" for part in (head, *entries) if part.strip())


def entries_of(text: str) -> tuple[str, list[str]]:
    """What stands above the first model, and the text of each model, with the comments right above it.

    Where models stand in each other (in inline tables), the text of each is made anew, and its comments are gone.
    """
    head: list[str] = []
    entries: list[list[str]] = []
    for table in _tables(text):
        above = entries[-1] if entries else head
        if _header(table) == _MODEL:
            entries.append([*_pop_comments(above), *table])
        else:
            above += table
    texts = ["".join(entry) for entry in entries]
    models = values_of(text)
    if [values_of(entry) for entry in texts] != [[model] for model in models]:
        return _comments_at_top(text), list(map(written, models))
    return "".join(head), texts


def changed(text: str, models: Sequence[Values]) -> str:
    """`text`, made to say `models`: the same ones in the same order, with other facts of their files."""
    new = "".join(_change(list(_tables(text)), models))
    if values_of(new) == models:
        return new
    return joined(_comments_at_top(text), map(written, models))


def _change(tables: Iterable[list[str]], models: Sequence[Values]) -> Iterator[str]:
    files: Iterator[Values] = iter(())
    waiting = iter(models)
    for table in tables:
        header = _header(table)
        if header == _MODEL:
            files = iter(next(waiting)["file"])
        yield from _with_facts(table, next(files, {})) if header == _FILE else table


def _with_facts(table: list[str], facts: Values) -> list[str]:
    """The statements of one file's table, with those facts that it does not say yet; a new one stands in its order."""
    table = list(table)
    for key, value in facts.items():
        places = {known: place for place, statement in enumerate(table) for known in tomllib.loads(statement)}
        if key not in places:
            before = [places[known] for known in FILE_KEYS[: FILE_KEYS.index(key)] if known in places]
            table.insert(max(before, default=0) + 1, _pair(key, value) + "\n")
        elif tomllib.loads(old := table[places[key]])[key] != value:
            table[places[key]] = _pair(key, value) + _comment_behind(old) + "\n"
    return table


def _tables(text: str) -> Iterator[list[str]]:
    """The statements of the file's beginning, then those of each table with its header first."""
    table: list[str] = []
    for statement in _statements(text):
        if statement.lstrip().startswith("["):
            yield table
            table = []
        table.append(statement)
    yield table


def _statements(text: str) -> Iterator[str]:
    """Each the shortest run of lines that is TOML by itself: a pair, a header, a comment, an empty line."""
    statement = ""
    for line in text.rstrip("\n").split("\n"):
        could_end = not statement or any(sign in line for sign in _CLOSING)
        statement += line + "\n"
        if could_end and _is_toml(statement):
            yield statement
            statement = ""


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _header(table: list[str]) -> dict[str, Any] | None:
    return tomllib.loads(table[0]) if table and table[0].lstrip().startswith("[") else None


def _pop_comments(statements: list[str]) -> list[str]:
    """Those at the end, taken away."""
    place = len(statements)
    while place and statements[place - 1].lstrip().startswith("#"):
        place -= 1
    comments = statements[place:]
    del statements[place:]
    return comments


def _comment_behind(statement: str) -> str:
    """The comment at the end of a pair, with the space before it; empty when there is none."""
    for place, char in enumerate(statement):
        if char == "#" and _is_toml(statement[:place]):  # not one within a string
            return statement[len(statement[:place].rstrip()) :].rstrip()
    return ""


def _comments_at_top(text: str) -> str:
    lines = text.split("\n")
    end = next((place for place, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    return "\n".join(lines[:end])


def _table(header: str, values: Values, keys: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in [header, *(_pair(key, values[key]) for key in keys if key in values)])


def _pair(key: str, value: str | int | list[str]) -> str:
    return f"{key} = {_value(value)}"


def _value(value: str | int | list[str]) -> str:
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's escapes are TOML's, but for DEL
