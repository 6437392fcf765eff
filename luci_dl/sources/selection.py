"""Which files of a reference are meant, as the options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileSelection:
    """What the words alone do not say.

    Attributes:
        output: the file name to give to the one file that the words stand for.
        sha256: the digest of that file.
        headers: for plain addresses: sent to the host of the address alone.
        projector: take the projector beside a vision model, too.
        all_files: every file of a repository.
        include, exclude: glob patterns of the files of a repository; with either, all that they leave are meant.
        unverified: allow plain http without a digest.
    """

    output: str | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    projector: bool = True
    all_files: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    unverified: bool = False

    @property
    def of_repository(self) -> bool:
        """True when files of a whole repository are chosen."""
        return self.all_files or bool(self.include or self.exclude)
