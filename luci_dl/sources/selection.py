"""Which files of a reference are meant, as the options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

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
    def by_pattern(self) -> bool:
        """True when files are selected from everything in a repository, not by quantisation."""
        return self.all_files or bool(self.include or self.exclude)
