"""One catalog file, read strictly: what luci does not understand is an error that says where it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from luci_dl.artifact import Artifact, Model
from luci_dl.errors import UsageError
from luci_dl.names import check_digest, check_name, target_key
from luci_dl.sources.url import Address, parse_address
from luci_dl.text import printable, shown

RESERVED = ("all", "core", "models")
"""Words of the command line: no model may be called so."""

_MODEL_KEYS = ("name", "aliases", "tier", "groups", "license", "file")
_FILE_KEYS = ("filename", "url", "size", "sha256", "lfs_pointer_sha1", "role")
_ROLES = ("model", "projector")
_KINDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
_WORD = re.compile(r"[^\s:/-][^\s:/]*")

T = TypeVar("T")
V = TypeVar("V")


def words_of(model: Model) -> tuple[str, ...]:
    """All that the model is called."""
    return (model.reference, *model.aliases)


def read_entries(text: str, file: str) -> tuple[Model, ...]:
    """The models of one catalog file, in its order.

    Raises: UsageError, which calls the file `file`.
    """
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {printable(str(error))}") from error
    models = tuple(map(_model, _Table(file, values, ("model",)).tables("model", "name", _MODEL_KEYS)))
    owners: dict[str, str] = {}
    for model in models:
        for word in words_of(model):
            owner = owners.get(word.casefold())
            if owner is not None:
                raise UsageError(f'{file}: "{word}" is there twice, in model {owner} and in model {model.reference}')
            owners[word.casefold()] = model.reference
    return models


class _Table:
    """One table of the file; `where` it stands begins each message about it."""

    def __init__(self, where: str, values: Mapping[str, object], keys: tuple[str, ...]) -> None:
        self.where = where
        self.values = values
        for key in values:
            if key not in keys:
                raise self.error(key, f"unknown key, expected one of {', '.join(keys)}")

    def error(self, key: str, problem: str) -> UsageError:
        return UsageError(f"{self.where}, {printable(key)}: {problem}")

    def need(self, key: str, kind: type[V], rule: Callable[[V], T]) -> T:
        """The value, which must be there, be of that kind and pass the rule."""
        if key not in self.values:
            raise self.error(key, f"expected {_KINDS[kind]}, but the key is missing")
        return self._checked(key, self.values[key], kind, rule)

    def maybe(self, key: str, kind: type[V], rule: Callable[[V], T]) -> T | None:
        """The same, or None when it is not there."""
        return self.need(key, kind, rule) if key in self.values else None

    def each(self, key: str, kind: type[V], rule: Callable[[V], T]) -> tuple[T, ...]:
        """The items of a list, each of that kind and by the rule; none when it is not there."""
        return tuple(self._checked(key, item, kind, rule) for item in self.maybe(key, list, list) or ())

    def tables(self, key: str, name_key: str, keys: tuple[str, ...]) -> Iterator[_Table]:
        """The tables of a list, each called by its name, or by its number where it has none."""
        for number, values in enumerate(self.each(key, dict, dict), 1):
            name = printable(str(values.get(name_key, number)))
            yield _Table(f"{self.where}, {key} {name}", values, keys)

    def _checked(self, key: str, value: object, kind: type[V], rule: Callable[[V], T]) -> T:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, f"expected {_KINDS[kind]}, found {shown(value)}")
        try:
            return rule(value)
        except UsageError as error:
            raise self.error(key, error.message) from error


def _model(table: _Table) -> Model:
    artifacts = tuple(map(_artifact, table.tables("file", "filename", _FILE_KEYS)))
    if not artifacts:
        raise table.error("file", "expected at least one [[model.file]], found none")
    if len({target_key(artifact.name) for artifact in artifacts}) < len(artifacts):
        raise table.error("file", "expected file names that differ, found one twice")
    return Model(
        reference=table.need("name", str, _name),
        artifacts=artifacts,
        aliases=table.each("aliases", str, _name),
        groups=table.each("groups", str, _group),
        tier=table.maybe("tier", int, _not_negative),
        license=table.maybe("license", str, str),
    )


def _artifact(table: _Table) -> Artifact:
    address = table.need("url", str, _address)
    return Artifact(
        name=table.need("filename", str, check_name),
        urls=(address.url,),
        size=table.maybe("size", int, _not_negative),
        sha256=table.maybe("sha256", str, lambda text: check_digest(text, 64, "a SHA-256")),
        lfs_pointer_sha1=table.maybe("lfs_pointer_sha1", str, lambda text: check_digest(text, 40, "a SHA-1")),
        headers=address.headers,
        role=table.maybe("role", str, _role) or "model",
    )


def _word(text: str) -> str:
    if not text.isprintable() or not _WORD.fullmatch(text):
        raise UsageError(
            f'expected a word without spaces, control characters, ":", "/" or a dash in front, found {shown(text)}'
        )
    return text


def _name(text: str) -> str:
    if text.casefold() in RESERVED:
        raise UsageError(f"expected a word that is not reserved as {', '.join(RESERVED)} are, found {shown(text)}")
    return _word(text)


def _group(text: str) -> str:
    return text if text.casefold() == "core" else _name(text)


def _address(text: str) -> Address:
    address = parse_address(text)
    if address.sha256:
        raise UsageError("expected an address without #sha256=, the digest has a key of its own")
    return address


def _role(text: str) -> str:
    if text not in _ROLES:
        raise UsageError(f"expected one of {', '.join(_ROLES)}, found {shown(text)}")
    return text


def _not_negative(number: int) -> int:
    if number < 0:
        raise UsageError(f"expected zero or more, found {number}")
    return number
