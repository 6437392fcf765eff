"""What a NAME on the command line means: a model of the catalog, or installed models."""

from __future__ import annotations

import os
from collections.abc import Sequence

from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import ResolveError
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledModel, find
from luci_dl.model import Model
from luci_dl.sources.base import source_of
from luci_dl.sources.endpoints import unchecked_endpoints
from luci_dl.text import did_you_mean, nearest, printable

WHERE_TO_LOOK = "`luci list` shows what is installed, `luci list --available` what can be."


@frozen
class Found:
    """What a NAME means: a model of the catalog, installed models, both, or nothing."""

    entry: Model | None
    installed: tuple[InstalledModel, ...]

    def __bool__(self) -> bool:
        return bool(self.entry or self.installed)


def look_up(word: str, catalog: Catalog, models: Sequence[InstalledModel]) -> Found:
    """What the word means: a name or alias, the reference as installed, or a file below the models folder.

    Args:
        models: those that are installed.

    Raises: UsageError, for an invalid address; ResolveError, for an invalid reference.
    """
    word = _canonical(word)
    entry = catalog.find(word)
    if entry is None:
        found = find(models, word)
        return Found(catalog.find(found[0].reference) if found else None, tuple(found))
    return Found(entry, installed_of(entry, models))


def installed_of(entry: Model, models: Sequence[InstalledModel]) -> tuple[InstalledModel, ...]:
    """Those of the installed models that are this model of the catalog, whatever reference they were installed by."""
    names = {artifact.name for artifact in entry.artifacts}
    return tuple(model for model in models if model.reference == entry.reference or names <= set(model.names))


def find_installed(word: str, catalog: Catalog, models: Sequence[InstalledModel]) -> tuple[InstalledModel, ...]:
    """The installed models that the word means, at least one. Raises: UsageError; ResolveError."""
    found = look_up(word, catalog, models)
    if found.installed:
        return found.installed
    if found.entry or is_reference(word):
        raise ResolveError(f"{printable(word)} is not installed", f"Install it: luci install {printable(word)}")
    raise unknown(word, catalog, models)


def is_reference(word: str) -> bool:
    """Whether the word names something on a server, and cannot be a name of the catalog or a file."""
    return source_of(word, unchecked_endpoints(os.environ)) is not None


def targets_of(word: str) -> tuple[str, ...]:
    """The targets that a reference can have, as far as it alone shows that. Raises: UsageError; ResolveError."""
    source = source_of(word, unchecked_endpoints(os.environ))
    return tuple(source.targets(_canonical(word))) if source else ()


def _canonical(word: str) -> str:
    """A reference in the form that receipts keep; any other word unchanged."""
    endpoints = unchecked_endpoints(os.environ)
    source = source_of(word, endpoints)
    return source.canonical(word, endpoints) if source else word


def unknown(word: str, catalog: Catalog, models: Sequence[InstalledModel], hint: str = WHERE_TO_LOOK) -> ResolveError:
    """The error for a word that means nothing, with the names that are most like it."""
    names = [name.rpartition("/")[2] for model in models for name in (model.reference, *model.names)]
    guess = did_you_mean(*dict.fromkeys((*catalog.suggest(word), *nearest(word, names, 1))))
    return ResolveError(f'there is no model "{printable(word)}"{guess}', hint)
