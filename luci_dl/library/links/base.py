"""What all targets of links have in common: what each is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledFile, InstalledModel
from luci_dl.library.links.entries import Entry, How


@frozen
class HubFile:
    """Where an installed file is on the Hub.

    Attributes:
        repo: OWNER/REPO; commit: 40 hex digits; path: in the repository.
        revision: the name that the commit was found by, like "main"; empty where the user named the commit itself.
        etag: of the file: its SHA-256 if it is in LFS, else its git blob SHA-1.
    """

    repo: str
    commit: str
    path: str
    revision: str
    etag: str


@frozen
class Question:
    """What a target is asked: the names it needs for one model.

    Attributes:
        name: what the user calls the model: its name in the catalog, or its reference.
        given: the name that the user wants the program to use; empty if none.
        hub: for each file from the Hub, by its name below the models folder, where it is there.
        how: how the bytes will be shared.
    """

    model: InstalledModel
    name: str
    given: str = ""
    hub: Mapping[str, HubFile] | None = None
    how: How = "auto"


@frozen
class Draft:
    """A target's answer.

    Attributes:
        root: the program's folder, which the names are below.
        name: what the program will call the model.
        entries: the names, in the order in which they must appear.
        notes: what the user should know.
        usage: a command that uses it; empty if there is none to show.
    """

    root: Path
    name: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    usage: str = ""


class Target(Protocol):
    """A program that models can be linked to."""

    @property
    def NAME(self) -> str:
        """What `luci link` calls it."""
        ...

    @property
    def NEEDS_HUB(self) -> bool:
        """Whether it can only have models from the Hub."""
        ...

    def place(self) -> Path:
        """The program's folder. Raises: StorageError, when the program is not there; UsageError."""
        ...

    def draft(self, question: Question, root: Path) -> Draft:
        """The names for a model, below the program's folder `root`. Reads, and changes nothing.

        Raises: ResolveError, when the program cannot have this model; UsageError; StorageError.
        """
        ...

    def used_elsewhere(self, root: Path, entries: Sequence[Entry]) -> set[Path]:
        """Those paths of the entries of a link that something else in the program's folder needs, too."""
        ...


def file_entry(file: InstalledFile, path: Path, **more: object) -> Entry:
    """A name for an installed file."""
    known = file.receipt
    return Entry("file", path, known.name, size=known.size, sha256=known.sha256, **more)  # type: ignore[arg-type]
