"""`luci search`, `luci list --available`, `luci catalog list` and `check`: the models that luci knows by name."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.folders import Problems, folders_of
from luci_dl.catalog.catalog import Catalog, load, read_built_in, read_user_file
from luci_dl.catalog.check import Checked, Override, check_built_in, check_file
from luci_dl.catalog.entries import FILE_KEYS, MODEL_KEYS, RESERVED
from luci_dl.catalog.estimate import about
from luci_dl.catalog.fit import Fit, this_place
from luci_dl.catalog.search import search as search_in
from luci_dl.events import Emit, ignore
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import installed_of
from luci_dl.model import Model

__all__ = ["FILE_KEYS", "MODEL_KEYS", "RESERVED", "Catalog", "Checked", "Fit", "Offer", "Override"]
__all__ += ["catalog", "check_built_in", "check_file", "in_families", "load", "offers", "own_models", "search"]


@frozen
class Offer:
    """A model of the catalog: whether it is installed, and whether it fits this machine.

    Attributes:
        about: bytes of all its files; estimated by its name if the catalog does not know them, None if that fails.
    """

    model: Model
    installed: bool
    fit: Fit
    about: int | None = None


def catalog() -> list[Model]:
    """The models that luci knows by name, the user's own among them. Raises: UsageError; StorageError."""
    return list(load(settings().catalog).models)


def search(text: str) -> list[Model]:
    """Models of the catalog that have every word of the text somewhere, the best match first.

    Raises: ResolveError, if there is none; UsageError; StorageError.
    """
    return search_in(text, load(settings().catalog))


def own_models(settings: Settings) -> list[Model]:
    """The models of the user's own catalog. Raises: UsageError."""
    own = read_user_file(settings.catalog) if settings.catalog else ()
    known = Catalog.of(read_built_in(), own)
    return [model for model in (known.find(each.reference) for each in own) if model]


def offers(models: Sequence[Model], settings: Settings, folder: Folder = None, *, emit: Emit = ignore) -> list[Offer]:
    """The models, each with what lists show about it. Warns about what cannot be read."""
    problems = Problems(emit)
    place = this_place(settings.models_dir, settings.min_free)
    by_word: dict[str, list[InstalledModel]] = {}
    for each in installed(folders_of(settings, folder, problems), problems):
        for word in {each.reference, *each.names}:
            by_word.setdefault(word, []).append(each)
    found = []
    for model in models:
        candidates = [*by_word.get(model.reference, ()), *by_word.get(model.artifacts[0].name, ())]
        here = bool(installed_of(model, candidates))
        size = about(model)
        found.append(Offer(model, here, place.fit(model, installed=here, about=size), size))
    return found


def in_families(found: Sequence[Offer]) -> list[Offer]:
    """By family, those with current models first; in each the current models first, then by size."""
    current = {each.model.family for each in found if not each.model.in_all}

    def place(offer: Offer) -> tuple[bool, str, bool, bool, int]:
        model, size = offer.model, offer.about
        return model.family not in current, model.family, model.in_all, size is None, size or 0

    return sorted(found, key=place)
