"""The models known by name: luci's own catalog, and the user's, which adds to it and wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luci_dl.artifact import Model
from luci_dl.errors import UsageError
from luci_dl.sources.entries import read_entries, words_of
from luci_dl.text import printable

BUILT_IN = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True)
class Catalog:
    """Models by name.

    Attributes:
        models: all of them, in the order of the files.
        by_word: who answers to a name or an alias, both in lower case.
    """

    models: tuple[Model, ...]
    by_word: Mapping[str, Model] = field(repr=False)

    @classmethod
    def of(cls, built_in: Iterable[Model], own: Iterable[Model] = ()) -> Catalog:
        """The built-in models and the user's own, which win a name or alias that both have."""
        own = tuple(own)
        by_name = {model.reference.casefold(): model for model in (*built_in, *own)}
        models = tuple(by_name.values())
        return cls(models, {word.casefold(): model for model in (*models, *own) for word in words_of(model)})

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all groups."""
        named = dict.fromkeys(group.casefold() for model in self.models for group in model.groups)
        return ("all", *named)

    def find(self, word: str) -> Model | None:
        """The model of that name or alias, in upper or lower case."""
        return self.by_word.get(word.casefold())

    def group(self, name: str) -> tuple[Model, ...] | None:
        """The models of a group; of "all" the core first, then from the highest tier down."""
        name = name.casefold()
        if name == "all":
            return tuple(sorted(self.models, key=_place_in_all))
        members = tuple(model for model in self.models if name in map(str.casefold, model.groups))
        return members or None

    def suggest(self, word: str, n: int = 3) -> tuple[str, ...]:
        """Up to `n` words that come near to a misspelt one, each of another model."""
        found: dict[str, str] = {}
        for near in nearest(word, self.by_word, 3 * n):
            found.setdefault(self.by_word[near].reference, near)
        return tuple(found.values())[:n]


def load(user_file: Path | None = None) -> Catalog:
    """The built-in catalog with the user's entries.

    Raises: UsageError, which names the file, the entry and the key.
    """
    built_in = read_entries(BUILT_IN.read_text(encoding="utf-8"), str(BUILT_IN))
    return Catalog.of(built_in, () if user_file is None else _read_user_file(user_file))


def nearest(word: str, candidates: Iterable[str], n: int) -> tuple[str, ...]:
    """Up to `n` candidates that look like the word, the nearest first."""
    from difflib import get_close_matches  # costs start-up time, and most words are spelt right

    return tuple(get_close_matches(word.casefold()[:100], list(candidates), n))


def _read_user_file(path: Path) -> tuple[Model, ...]:
    file = printable(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"cannot read the catalog {file}: {reason}", "Check LUCI_CATALOG.") from error
    return read_entries(text, file)


def _place_in_all(model: Model) -> tuple[bool, int]:
    if "core" in map(str.casefold, model.groups):
        return False, 0
    return True, 1 if model.tier is None else -model.tier
