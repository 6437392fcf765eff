"""The models known by name: the built-in catalog, and the user's own, which adds to it and overrides it."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from itertools import chain
from pathlib import Path

from luci_dl.catalog.entries import family_of, read_entries, words_of
from luci_dl.errors import UsageError, refusals
from luci_dl.frozen import frozen
from luci_dl.model import Model
from luci_dl.text import SAVE_AS_UTF8, decoded, human_size, nearest, printable

BUILT_IN = Path(__file__).with_name("catalog.toml")
MAX_BYTES = 16_000_000
"""Size limit of a catalog file."""
_ENTRY = "\n[[model]]\n"
"""What each entry of the built-in catalog begins with."""
_WHERE = "Check its path. LUCI_CATALOG, or `catalog` in config.json, names your own catalog."


@frozen
class Catalog:
    """Models by name.

    Attributes:
        models: all of them, in the order of the files.
        by_word: the model of each name and alias, which are in lower case.
    """

    models: tuple[Model, ...]
    by_word: Mapping[str, Model] = field(repr=False)

    @classmethod
    def of(cls, built_in: Iterable[Model], own: Iterable[Model] = ()) -> Catalog:
        """Combine the built-in models with the user's own, which take a name or alias that both have.

        An entry that replaces a built-in one of the same name inherits the aliases, groups and tier that it lacks.
        """
        own = tuple(own)
        by_name = {model.reference.casefold(): model for model in built_in}
        for model in own:
            name = model.reference.casefold()
            by_name[name] = _in_place_of(by_name.get(name), model)
        owners = {word.casefold(): name for name, model in by_name.items() for word in words_of(model)}
        owners |= {word.casefold(): model.reference.casefold() for model in own for word in words_of(model)}
        by_name = {name: _with_aliases(model, name, owners) for name, model in by_name.items()}
        return cls(tuple(by_name.values()), {word: by_name[name] for word, name in owners.items()})

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all groups."""
        named = dict.fromkeys(group.casefold() for model in self.models for group in model.groups)
        return ("all", "everything", *named)

    def find(self, word: str) -> Model | None:
        """The model with that name or alias; case does not matter."""
        return self.by_word.get(word.casefold())

    def group(self, name: str) -> tuple[Model, ...] | None:
        """The models of a group, None if there is none.

        "everything" is all of them, "all" those that are not left out of it: core first, then from the highest tier
        down.
        """
        name = name.casefold()
        if name in ("all", "everything"):
            models = (model for model in self.models if model.in_all or name == "everything")
            return tuple(sorted(models, key=_place_in_all))
        members = tuple(model for model in self.models if name in map(str.casefold, model.groups))
        return members or None

    def suggest(self, word: str, n: int = 3) -> tuple[str, ...]:
        """Up to `n` words similar to a misspelt one, each of a different model."""
        found: dict[str, str] = {}
        for near in nearest(word, self.by_word, 3 * n):
            found.setdefault(self.by_word[near].reference, near)
        return tuple(found.values())[:n]


def load(user_file: Path | None = None) -> Catalog:
    """The built-in catalog combined with the user's entries.

    Raises: UsageError, which names the file, the entry and the key.
    """
    return Catalog.of(read_built_in(), () if user_file is None else read_user_file(user_file))


def load_for(words: Collection[str], user_file: Path | None = None) -> Catalog:
    """The same, but if each of the words names a model, only the entries that matter to them.

    Of the built-in catalog only these are parsed, as all of it takes 10 ms. Raises: UsageError, as `load`.
    """
    if not words:
        return Catalog.of(())
    own = () if user_file is None else read_user_file(user_file)
    quoted = {f'"{word.casefold()}"' for word in chain(words, *map(words_of, own))}
    _header, *entries = _built_in_text().split(_ENTRY)
    relevant = [entry for entry in entries if any(word in entry.casefold() for word in quoted)]
    found = Catalog.of(read_entries(_ENTRY.join(("", *relevant)), str(BUILT_IN)), own)
    return found if all(map(found.find, words)) else Catalog.of(read_built_in(), own)


def read_built_in() -> tuple[Model, ...]:
    """The models of the built-in catalog."""
    return read_entries(_built_in_text(), str(BUILT_IN))


def _built_in_text() -> str:
    data = pkgutil.get_data(__package__, BUILT_IN.name)  # luci may be in a zipapp
    return (data or b"").decode()


def read_user_file(path: Path) -> tuple[Model, ...]:
    """The models of a catalog file. Raises: UsageError."""
    return read_entries(text_of(path), printable(str(path)))


def text_of(path: Path) -> str:
    """The content of a catalog file. Raises: UsageError; StorageError, when the system refuses to open a file."""
    try:
        with refusals(), open(path, "rb", opener=_opened) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), _WHERE) from error
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"it is larger than {human_size(MAX_BYTES)}, the limit for a catalog", _WHERE)
    try:
        return decoded(data)
    except ValueError as error:
        raise _unreadable(path, str(error), SAVE_AS_UTF8) from error


def _opened(path: str, flags: int) -> int:
    """A pipe that nobody writes to is empty, where opening it would wait for a writer."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return fd


def _unreadable(path: Path, reason: str, hint: str) -> UsageError:
    return UsageError(f"cannot read the catalog {printable(str(path))}: {reason}", hint)


def _in_place_of(old: Model | None, new: Model) -> Model:
    if old is None:
        return new
    tier = old.tier if new.tier is None else new.tier
    own_family = new.family if new.family != family_of(new.reference) else old.family
    return replace(
        new, aliases=new.aliases or old.aliases, groups=new.groups or old.groups, tier=tier, family=own_family
    )


def _with_aliases(model: Model, name: str, owners: Mapping[str, str]) -> Model:
    """The model without the aliases that another one took."""
    aliases = tuple(alias for alias in model.aliases if owners[alias.casefold()] == name)
    return model if aliases == model.aliases else replace(model, aliases=aliases)


def _place_in_all(model: Model) -> tuple[bool, int]:
    if "core" in map(str.casefold, model.groups):
        return False, 0
    return True, 1 if model.tier is None else -model.tier
