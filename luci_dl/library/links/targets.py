"""The targets of links: adding one is a module and a line here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from luci_dl.environment import parse_path
from luci_dl.errors import UsageError
from luci_dl.library.links import hub_cache, llama_server, ollama
from luci_dl.library.links.base import Target
from luci_dl.library.links.folders import directory, lm_studio
from luci_dl.text import did_you_mean, nearest, printable

TARGETS: tuple[Target, ...] = (hub_cache, ollama, lm_studio, llama_server)
NAMES: Sequence[str] = tuple(target.NAME for target in TARGETS)


def target_of(word: str) -> tuple[Target, Path]:
    """The target that the word names, and its folder.

    Raises: UsageError, for a word that is neither a program nor a folder; StorageError, when the program is not there.
    """
    for target in TARGETS:
        if word.casefold() == target.NAME:
            return target, target.place()
    if "/" in word or os.path.isdir(os.path.expanduser(word)):
        return directory, parse_path(word, "the folder", Path())
    raise UsageError(
        f'there is no program "{printable(word)}"{did_you_mean(*nearest(word.casefold(), NAMES, 1))}',
        f"luci links to {', '.join(NAMES)}, and to folders: a new one needs a slash, like ./{printable(word)}",
    )


def check_targets(words: Iterable[str]) -> None:
    """Check that there is something to link to, before the first byte. Raises: as `target_of`."""
    for word in words:
        target_of(word)


def by_name(name: str) -> Target:
    """The target of a record. Raises: UsageError."""
    found = next((target for target in (*TARGETS, directory) if name == target.NAME), None)
    if found is None:
        raise UsageError(f'there is no program "{printable(name)}"', "Update luci.")
    return found
