"""Which models fit the disk, the graphics card and the memory of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luci_dl.catalog.estimate import about
from luci_dl.disk import space
from luci_dl.disk.place import existing
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.machine.fit import CONTEXT, Load, Machine, this_machine
from luci_dl.model import Artifact, Model

if TYPE_CHECKING:
    from luci_dl.formats.kv_cache import Cache  # slow to load


@frozen
class Fit:
    """Whether a model fits the free disk space, and whether it runs.

    Attributes:
        disk: None where that is unknown.
        running: what running it takes; None for what is no GGUF file, and where the size is unknown.
    """

    disk: bool | None
    running: Load | None

    @property
    def memory(self) -> bool | None:
        """Whether it runs here; None where that is unknown."""
        return self.running.runs if self.running else None

    @property
    def word(self) -> str:
        """Where it runs, in a word; empty where that is unknown."""
        verdict = self.running.verdict if self.running else None
        return verdict.word if verdict else ""


@frozen
class Place:
    """A machine with the disk of a models folder. `free`: without the reserve; None where that is unknown."""

    free: int | None
    machine: Machine

    def fit(self, model: Model, *, installed: bool, about: int | None = None) -> Fit:
        """Whether the model fits. Installed, it needs no more disk; its cache is unknown, and left out.

        Args:
            about: an estimate of its size, for where that is unknown.
        """
        size = about if model.size is None and is_gguf(model.artifacts[0]) else model.size
        disk = installed or (None if None in (size, self.free) else (size or 0) <= (self.free or 0))
        return Fit(disk, load_of(model, self.machine))


def this_place(models_dir: Path, min_free: int) -> Place:
    """This machine, with the disk of the models folder."""
    try:
        free = space.free_bytes(existing(models_dir))
    except StorageError:
        free = None
    return Place(None if free is None else max(0, free - min_free), this_machine())


def load_of(model: Model, machine: Machine, cache: Cache | None = None, context: int = CONTEXT) -> Load | None:
    """What running the model takes, by an estimate of its size where that is unknown; None for what is no GGUF file.

    Args:
        cache: by the header of its file, if that is known.
        context: tokens that it shall remember.
    """
    known = weights_of(model.artifacts)
    weights = about(model) if known is None and is_gguf(model.artifacts[0]) else known
    if weights is None:
        return None
    return machine.load(weights, None if cache is None else cache.size(context), context, estimated=known is None)


def is_gguf(artifact: Artifact) -> bool:
    """Whether it is a model that the usual programs run."""
    return artifact.role == "model" and artifact.name.casefold().endswith(".gguf")


def weights_of(artifacts: Sequence[Artifact]) -> int | None:
    """Bytes that are loaded to run the first file: with its shards, and with a projector.

    None if a size is unknown, and for what is no GGUF file.
    """
    first = artifacts[0]
    if not is_gguf(first):
        return None
    stem, is_set, _ = first.name.partition("-00001-of-")
    others = [each for each in artifacts[1:] if is_set and each.name.startswith(f"{stem}-")]
    sizes = [each.size for each in (first, *others, *[each for each in artifacts if each.role == "projector"][:1])]
    return None if None in sizes else sum(size for size in sizes if size is not None)
