"""Builds the JSON of the commands that answer a question, by the shapes of `json_shapes`."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, is_typeddict


def answer(command: str, source: object, **given: object) -> str:
    """The line that the command prints: `source` in the shape that `ANSWERS` has for it."""
    from luci_dl.cli.json_shapes import ANSWERS  # slow to load, and tables do without

    return json.dumps(_plain(ANSWERS[command], source, given))


def to_json(shape: type, source: object, given: Mapping[str, object]) -> dict[str, Any]:
    """An object of that shape.

    Each value is the given one, or what the getter in the annotation of its key returns for `source`, or else the
    attribute of `source` that has the name of the key.
    """
    found = {}
    for key, hint in _keys_of(shape).items():
        kind, _, *getter = get_args(hint)
        value = given[key] if key in given else (getter[0] if getter else attrgetter(key))(source)
        found[key] = _plain(kind, value)
    return found


@functools.cache
def _keys_of(shape: type) -> dict[str, Any]:
    from luci_dl.cli.topics.json_types import keys_of

    return keys_of(shape)


def _plain(kind: Any, value: Any, given: Mapping[str, object] | None = None) -> Any:
    """The value as JSON has it, of that kind."""
    if value is None:
        return None
    if get_origin(kind) is UnionType:
        kind = get_args(kind)[0]
    if is_typeddict(kind):
        return to_json(kind, value, given or {})
    if get_origin(kind) is list:
        return [_plain(get_args(kind)[0], item) for item in value]
    if get_origin(kind) is Mapping:
        return dict(value)
    return str(value) if isinstance(value, Path) else value
