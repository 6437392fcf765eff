"""Which models fit the disk, the graphics card and the memory of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.disk import space
from luci_dl.disk.place import existing
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.machine.fit import Load, Machine, this_machine
from luci_dl.model import Artifact, Model


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
    def verdict(self) -> str | None:
        """Where it runs, in words; None where that is unknown."""
        found = self.running and self.running.verdict
        return found.value if found else None


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
        size, weights = model.size, weights_of(model.artifacts)
        if size is None and is_gguf(model.artifacts[0]):
            size = weights = about
        disk = installed or (None if None in (size, self.free) else (size or 0) <= (self.free or 0))
        return Fit(disk, None if weights is None else self.machine.load(weights))


def this_place(models_dir: Path, min_free: int) -> Place:
    """This machine, with the disk of the models folder."""
    try:
        free = space.free_bytes(existing(models_dir))
    except StorageError:
        free = None
    return Place(None if free is None else max(0, free - min_free), this_machine())


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
