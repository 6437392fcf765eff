"""The types of Python as a reader of JSON calls them."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

_NAMES = {str: "string", int: "integer", float: "number", bool: "true/false", type(None): "null", object: "any value"}


def type_name(hint: Any) -> str:
    """Like "integer or null", or "array of string"; an object with named keys by the name of its class."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(map(type_name, arguments))
    if origin is Literal:
        return "string"
    if origin is Mapping:
        return f"object of {type_name(arguments[1])} values"
    if origin in (list, tuple, Sequence):
        return f"array of {type_name(arguments[0])}"
    return _NAMES.get(hint) or hint.__name__


def keys_of(shape: type) -> dict[str, Any]:
    """The keys of a shape or of an event, with their types."""
    return get_type_hints(shape, include_extras=True)


def shapes_in(hint: Any) -> list[type]:
    """The objects with named keys in it, each before those inside it."""
    if is_typeddict(hint):
        return [hint, *(shape for inner in keys_of(hint).values() for shape in shapes_in(inner))]
    return [shape for argument in get_args(hint) for shape in shapes_in(argument)]
