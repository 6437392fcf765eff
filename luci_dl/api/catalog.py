"""`luci search`, `luci list --available` and `luci catalog list`: the models that luci knows by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luci_dl.api.config import Folder, Settings, folders_of, settings
from luci_dl.catalog.catalog import Catalog, load, read_user_file
from luci_dl.catalog.fit import Fit, this_machine
from luci_dl.catalog.search import search as search_in
from luci_dl.library.installed import installed
from luci_dl.library.lookup import installed_of
from luci_dl.model import Model

__all__ = ["Catalog", "Fit", "Offer", "catalog", "load_catalog", "offers", "own_models", "search"]


@dataclass(frozen=True)
class Offer:
    """A model of the catalog: whether it is installed, and whether it fits this machine."""

    model: Model
    installed: bool
    fit: Fit


def catalog() -> list[Model]:
    """The models that luci knows by name, the user's own among them. Raises: UsageError; StorageError."""
    return list(load(settings().catalog).models)


def search(text: str) -> list[Model]:
    """Models of the catalog that have every word of the text somewhere, the best match first.

    Raises: ResolveError, if there is none; UsageError; StorageError.
    """
    return search_in(text, load(settings().catalog))


def load_catalog(settings: Settings) -> Catalog:
    """The built-in catalog and the user's own. Raises: UsageError."""
    return load(settings.catalog)


def own_models(settings: Settings) -> list[Model]:
    """The models of the user's own catalog. Raises: UsageError."""
    own, known = read_user_file(settings.catalog) if settings.catalog else (), load(settings.catalog)
    return [model for model in (known.find(each.reference) for each in own) if model]


def offers(models: Sequence[Model], settings: Settings, folder: Folder = None) -> list[Offer]:
    """The models, with what is said about each in lists. Raises: StorageError."""
    machine, there = this_machine(settings.models_dir, settings.min_free), installed(folders_of(settings, folder))
    found = [(model, bool(installed_of(model, there))) for model in models]
    return [Offer(model, here, machine.fit(model, installed=here)) for model, here in found]
