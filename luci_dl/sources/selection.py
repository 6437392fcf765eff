"""Which files of a reference are meant, as the options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from luci_dl.frozen import frozen


@frozen
class FileSelection:
    """What the words alone do not say.

    Attributes:
        output: file name for the single file that the words stand for.
        sha256: expected digest of that file.
        headers: for plain addresses: request headers, sent only to the host of the address.
        projector: take the projector of a vision model, too.
        all_files: take every file of a repository.
        include, exclude: glob patterns of repository files; with either, every file that they leave is taken.
        safe_only: leave out files that may run code when they are loaded.
        unverified: allow plain http without a digest.
    """

    output: str | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    projector: bool = True
    all_files: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    safe_only: bool = False
    unverified: bool = False

    @property
    def asked(self) -> Mapping[str, Any]:
        """Every option that says something, for receipts: `from_asked` gives the selection back, without secrets."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "headers"}
        default = FileSelection()
        return {name: _to_json(value) for name, value in said.items() if value != getattr(default, name)}

    @classmethod
    def from_asked(cls, asked: Mapping[str, Any]) -> FileSelection:
        """The selection of a receipt; what another version of luci may have added to it is left out."""
        names = {each.name for each in fields(cls)} - {"headers"}
        answers: dict[str, Any] = {name: _from_json(answer) for name, answer in asked.items() if name in names}
        return cls(**answers)

    @property
    def by_pattern(self) -> bool:
        """True when files are selected from everything in a repository, not by quantisation."""
        return self.all_files or bool(self.include or self.exclude)


def _to_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _from_json(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer
