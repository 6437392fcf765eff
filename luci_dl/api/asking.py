"""What changes nothing and asks no server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luci_dl.catalog.catalog import load
from luci_dl.catalog.search import search as search_in
from luci_dl.config.settings import Settings, load_settings
from luci_dl.errors import IntegrityError, ResolveError, UsageError
from luci_dl.gguf.reading import GgufFile, read_all
from luci_dl.library import installed as library
from luci_dl.library.installed import InstalledModel
from luci_dl.library.lookup import Found, find_installed, look_up, unknown
from luci_dl.library.partials import Partial, partials
from luci_dl.library.running import Running, running
from luci_dl.model import Model
from luci_dl.text import printable, shown

Folder = str | os.PathLike[str] | None
"""A models folder. None: the one that the command line uses; for what looks into folders, every one it knows."""


@dataclass(frozen=True)
class Info:
    """All that is known of one model.

    Attributes:
        entry: what the catalog says of it.
        installed: one for each folder that has it.
        gguf: what the header of each installed GGUF file says.
        partials: what is half-fetched.
    """

    name: str
    entry: Model | None
    installed: tuple[InstalledModel, ...]
    gguf: tuple[GgufFile, ...]
    partials: tuple[Partial, ...]


def settings(folder: Folder = None) -> Settings:
    """The settings, as the environment and config.json have them. Raises: UsageError; StorageError."""
    if folder is None:
        return load_settings(os.environ)
    if not (isinstance(folder, str | os.PathLike) and str(folder).strip()):
        raise UsageError(f"expected a folder, found {shown(folder)}", "Give the path of a models folder, or None.")
    return load_settings(os.environ, Path(folder))


def folders_of(found: Settings, folder: Folder) -> list[Path]:
    """Where to look for models: the folder that was named, else every one that was ever used."""
    return [found.models_dir] if folder is not None else found.every_folder


def installed(folder: Folder = None) -> list[InstalledModel]:
    """The installed models, as `luci list` shows them. Raises: UsageError; StorageError."""
    return library.installed(folders_of(settings(folder), folder))


def path(name: str, folder: Folder = None) -> Path:
    """The installed file to load, as `luci path` prints it.

    Raises: ResolveError, when it is not installed; IntegrityError, when it is not as it was; UsageError; StorageError.
    """
    return sound_model(name, folder).to_load.path


def sound_model(name: str, folder: Folder = None) -> InstalledModel:
    """The installed model that the name means, when it is as it was installed. Raises: as `path`."""
    found = settings(folder)
    there = find_installed(name, load(found.catalog), library.installed(folders_of(found, folder)))
    meant = dict.fromkeys(model.to_load.receipt.name for model in there)
    if len(meant) > 1:
        which = printable(", ".join(meant))
        raise ResolveError(f'"{printable(name)}" is the name of {len(meant)} files', f"Say which: {which}")
    model = next((model for model in there if model.state == "ok"), there[0])
    _check_sound(model, found.models_dir)
    return model


def _check_sound(model: InstalledModel, default: Path) -> None:
    """Raises: IntegrityError, when one of its files is not as it was installed."""
    if model.state == "ok":
        return
    bad = [str(file.path) for file in model.files if file.state == model.state]
    file = printable([*(str(model.folder / name) for name in model.lost), *bad][0])
    what = "is missing" if model.state == "missing" else "has changed since luci installed it"
    where = "" if model.folder == default else f" --dir {printable(str(model.folder))}"
    hint = f"This checks and repairs it: luci install {printable(model.reference)}{where}"
    raise IntegrityError(f"{file} {what}", hint)


def info(name: str, folder: Folder = None) -> Info:
    """Everything known of one model, installed or not, as `luci info` shows it.

    Raises: ResolveError, when there is no such model; UsageError; StorageError.
    """
    found = settings(folder)
    folders, known = folders_of(found, folder), load(found.catalog)
    there = library.installed(folders)
    meant = look_up(name, known, there)
    begun = _begun(name, meant, partials(folders))
    if not meant and not begun:
        raise unknown(name, known, there)
    files = [file.path for model in meant.installed for file in model.files if file.state != "missing"]
    return Info(_title(meant, begun), meant.entry, meant.installed, tuple(read_all(files)), begun)


def _begun(word: str, found: Found, begun: Sequence[Partial]) -> tuple[Partial, ...]:
    """The parts of the model; of one that nothing else is known of, those of the file that the word names."""
    names = {artifact.name for artifact in found.entry.artifacts} if found.entry else set()
    names.update(name for model in found.installed for name in model.names)
    if not found:
        names.update(partial.name for partial in begun if word in (partial.name, partial.name.rpartition("/")[2]))
    return tuple(partial for partial in begun if partial.name in names)


def _title(found: Found, begun: Sequence[Partial]) -> str:
    if found.entry:
        return found.entry.reference
    return found.installed[0].reference if found.installed else begun[0].name


def status(folder: Folder = None) -> list[Running]:
    """What is being installed now, by any process, as `luci status` shows it. Raises: UsageError; StorageError."""
    return running(folders_of(settings(folder), folder))


def catalog() -> list[Model]:
    """The models that luci knows by name, the user's own among them. Raises: UsageError; StorageError."""
    return list(load(settings().catalog).models)


def search(text: str) -> list[Model]:
    """Models of the catalog that have every word of the text somewhere, the nearest first.

    Raises: ResolveError, when there is none; UsageError; StorageError.
    """
    return search_in(text, load(settings().catalog))
