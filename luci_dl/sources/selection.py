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
        """The selection of a receipt, without what is unknown or of another type: anyone may have written it."""
        answers: dict[str, Any] = {name: _from_json(answer) for name, answer in asked.items()}
        default = vars(cls()) | {"output": "", "sha256": ""}
        known = default.keys() - {"headers"}
        return cls(
            **{name: answers[name] for name in known & answers.keys() if _same_type(answers[name], default[name])}
        )

    @property
    def by_pattern(self) -> bool:
        """True when files are selected from everything in a repository, not by quantisation."""
        return self.all_files or bool(self.include or self.exclude)


def _to_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _same_type(answer: Any, default: Any) -> bool:
    if isinstance(answer, tuple) and not all(isinstance(each, str) for each in answer):
        return False
    return type(answer) is type(default)


def _from_json(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer
