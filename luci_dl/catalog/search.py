"""Searches models by name, alias, family, group, licence and file name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luci_dl.catalog.catalog import Catalog
from luci_dl.catalog.entries import words_of
from luci_dl.errors import ResolveError, UsageError
from luci_dl.model import Model
from luci_dl.text import did_you_mean, nearest, printable

_EXACT, _PREFIX, _WITHIN, _FAMILY, _ELSEWHERE = range(5)


def search(text: str, catalog: Catalog) -> list[Model]:
    """The models that have every word of the text in a name, alias, family, group, licence or file name, best first.

    Raises: ResolveError, with similar words, if there is none; UsageError, if there is no word.
    """
    words = text.casefold().split()
    if not words:
        raise UsageError("there is nothing to search for", "For example: luci search qwen")
    ranks = {model.reference: [_rank(word, model) for word in words] for model in catalog.models}
    found = [model for model in catalog.models if None not in ranks[model.reference]]
    if not found:
        raise _nothing(text, words, catalog)
    return sorted(found, key=lambda model: sum(rank or 0 for rank in ranks[model.reference]))


def _rank(word: str, model: Model) -> int | None:
    """How well the word matches the model, 0 for best; None if it does not."""
    names = [name.casefold() for name in words_of(model)]
    if word in names:
        return _EXACT
    if any(name.startswith(word) for name in names):
        return _PREFIX
    if any(word in name for name in names):
        return _WITHIN
    if word in (model.family, *map(str.casefold, model.groups)):
        return _FAMILY
    files = [artifact.name for artifact in model.artifacts]
    return _ELSEWHERE if any(word in text.casefold() for text in (*model.groups, model.license or "", *files)) else None


def _nothing(text: str, words: Sequence[str], catalog: Catalog) -> ResolveError:
    near = dict.fromkeys(near for word in words for near in _near(word, catalog))
    what = "" if len(words) == 1 else "all of "
    message = f'no model in the catalog matches {what}"{printable(" ".join(text.split()))}"'
    return ResolveError(message + did_you_mean(*list(near)[:3]), "`luci list --available` shows all.")


def _near(word: str, catalog: Catalog) -> Iterator[str]:
    """Words of the catalog similar to one that it does not have."""
    if not any(_rank(word, model) is not None for model in catalog.models):
        licenses = dict.fromkeys(model.license.casefold() for model in catalog.models if model.license)
        yield from (*catalog.suggest(word), *nearest(word, (*catalog.groups[2:], *_families(catalog), *licenses), 1))


def _families(catalog: Catalog) -> list[str]:
    return list(dict.fromkeys(model.family for model in catalog.models))
