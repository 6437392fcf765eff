"""Parses a catalog file strictly: anything unknown is an error that names its place in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Digest, Model
from luci_dl.names import check_digest, check_name, target_key
from luci_dl.sources.url import Address, parse_address
from luci_dl.text import MOST_BYTES, printable, shown

RESERVED = ("all", "core", "everything", "models")
"""Words of the command line, not allowed as names of models."""

MODEL_KEYS = ("name", "aliases", "family", "tier", "groups", "license", "all", "file")
FILE_KEYS = ("filename", "url", "commit", "size", *(digest.key for digest in Digest), "role")
"""The keys of a model and of a file, in their usual order."""

_ROLES = ("model", "projector")
_KINDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
_WORD = re.compile(r"[^\s:/-][^\s:/]*")
_ON_HUB = re.compile(r"(.*?/[^/]+/[^/]+/resolve/)[^/]+(/[^?#]+.*)")

T = TypeVar("T")
V = TypeVar("V")


def words_of(model: Model) -> tuple[str, ...]:
    """The name of the model and its aliases."""
    return (model.reference, *model.aliases)


def read_entries(text: str, file: str) -> tuple[Model, ...]:
    """The models of one catalog file, in its order. `file` is its name for messages.

    Raises: UsageError, for the first problem.
    """
    models, problems = examine(text, file)
    if problems:
        more = len(problems) - 1
        raise UsageError(problems[0], f"It has {more} more: luci catalog check {file}" if more else "")
    return models


def examine(text: str, file: str) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    """The sound models of one catalog file, and its problems, a line each. `file` is its name for messages."""
    import tomllib  # references do without the catalog

    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return (), (f"{file} is not TOML: {printable(str(error))}",)
    table = _Table(file, values, ("model",), [])
    read = [_model(entry) for entry in table.tables("model", "name", MODEL_KEYS)]
    models = tuple(model for model in read if model)
    return models, (*table.problems, *_words_twice(models, file))


def _words_twice(models: Iterable[Model], file: str) -> Iterator[str]:
    owners: dict[str, str] = {}
    for model in models:
        for word in words_of(model):
            if owner := owners.get(word.casefold()):
                yield f'{file}: "{word}" appears twice, in model {owner} and in model {model.reference}'
            owners[word.casefold()] = model.reference


class _Table:
    """One table of the file. Each problem begins with `where` and is added to the list of the whole file."""

    def __init__(self, where: str, values: Mapping[str, object], keys: tuple[str, ...], problems: list[str]) -> None:
        self.where = where
        self.values = values
        self.problems = problems
        for key in values:
            if key not in keys:
                self.wrong(key, f"unknown key, expected one of {', '.join(keys)}")

    def wrong(self, key: str, problem: str) -> None:
        self.problems.append(f"{self.where}, {printable(key)}: {problem}")

    def need(self, key: str, kind: type[V], rule: Callable[[V], T]) -> T | None:
        """A required value of that kind, converted by the rule; None if there is a problem."""
        if key in self.values:
            return self._checked(key, self.values[key], kind, rule)
        self.wrong(key, f"expected {_KINDS[kind]}, but the key is missing")
        return None

    def maybe(self, key: str, kind: type[V], rule: Callable[[V], T]) -> T | None:
        """The same for an optional value."""
        return self.need(key, kind, rule) if key in self.values else None

    def flag(self, key: str, *, default: bool) -> bool:
        """An optional yes or no."""
        value = self.values.get(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(key, f"expected true or false, found {shown(value)}")
        return default

    def each(self, key: str, kind: type[V], rule: Callable[[V], T]) -> tuple[T, ...]:
        """The sound items of an optional list, each of that kind and converted by the rule."""
        items = self.maybe(key, list, list) or ()
        checked = [self._checked(key, item, kind, rule) for item in items]
        return tuple(value for value in checked if value is not None)

    def tables(self, key: str, name_key: str, keys: tuple[str, ...]) -> Iterator[_Table]:
        """The tables of a list. Messages call each by its name, or by its number if it has none."""
        for number, values in enumerate(self.each(key, dict, dict), 1):
            name = printable(str(values.get(name_key, number)))
            yield _Table(f"{self.where}, {key} {name}", values, keys, self.problems)

    def _checked(self, key: str, value: object, kind: type[V], rule: Callable[[V], T]) -> T | None:
        if not isinstance(value, kind) or isinstance(value, bool):
            self.wrong(key, f"expected {_KINDS[kind]}, found {shown(value)}")
            return None
        try:
            return rule(value)
        except UsageError as error:
            self.wrong(key, error.message)
            return None


def family_of(name: str) -> str:
    """The family of a model that does not state it: the letters at the beginning of its name."""
    found = re.match(r"[^\W\d_]+", name)
    return found[0].casefold() if found else name.casefold()


def _model(table: _Table) -> Model | None:
    name = table.need("name", str, _name)
    model = Model(
        reference=name or "",
        artifacts=(),
        aliases=table.each("aliases", str, _name),
        groups=table.each("groups", str, _group),
        tier=table.maybe("tier", int, _not_negative),
        license=table.maybe("license", str, str),
        family=table.maybe("family", str, _name) or family_of(name or ""),
        in_all=table.flag("all", default=True),
    )
    if not table.values.get("file", []):
        table.wrong("file", "expected at least one [[model.file]], found none")
    artifacts = [_artifact(file) for file in table.tables("file", "filename", FILE_KEYS)]
    sound = tuple(artifact for artifact in artifacts if artifact)
    if len({target_key(artifact.name) for artifact in sound}) < len(sound):
        table.wrong("file", "expected different file names, found one twice")
    return replace(model, artifacts=sound) if name and sound and len(sound) == len(artifacts) else None


def _artifact(table: _Table) -> Artifact | None:
    name = table.need("filename", str, check_name)
    address = table.need("url", str, _address)
    commit = table.maybe("commit", str, lambda text: check_digest(text, 40, "a commit"))
    size = table.maybe("size", int, _not_negative)
    digests = {digest: _digest(table, digest) for digest in Digest}
    role = table.maybe("role", str, _role) or "model"
    if address is None or name is None:
        return None
    found = _ON_HUB.fullmatch(address.url) if commit else None
    if commit and not found:
        table.wrong("commit", f"expected a url with /OWNER/REPO/resolve/ in it, found {printable(address.url)}")
        return None
    url = f"{found[1]}{commit}{found[2]}" if found else address.url
    sha256 = digests.pop(Digest.SHA256)
    further = {digest: value for digest, value in digests.items() if value}
    return Artifact(name, (url,), size, sha256, further, headers=address.headers, role=role)


def _digest(table: _Table, digest: Digest) -> str | None:
    return table.maybe(digest.key, str, lambda text: check_digest(text, digest.digits, f"a {digest.label}"))


def _name(text: str) -> str:
    if text.casefold() in RESERVED:
        raise UsageError(f"expected a word other than {', '.join(RESERVED)}, which are reserved, found {shown(text)}")
    if not text.isprintable() or not _WORD.fullmatch(text):
        what = 'a word without spaces, control characters, ":", "/" or a leading dash'
        raise UsageError(f"expected {what}, found {shown(text)}")
    return text


def _group(text: str) -> str:
    return text if text.casefold() == "core" else _name(text)


def _address(text: str) -> Address:
    address = parse_address(text)
    if address.sha256:
        raise UsageError("expected an address without #sha256=: the digest has its own key")
    return address


def _role(text: str) -> str:
    if text not in _ROLES:
        raise UsageError(f"expected one of {', '.join(_ROLES)}, found {shown(text)}")
    return text


def _not_negative(number: int) -> int:
    if not 0 <= number <= MOST_BYTES:
        raise UsageError(f"expected zero or more, at most {MOST_BYTES}, found {shown(number)}")
    return number
