"""llama-server's presets: a section for each model in a file of luci's own, for `llama-server --models-preset`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from luci_dl.environment import home_of
from luci_dl.errors import ResolveError
from luci_dl.library.links.base import Draft, Question
from luci_dl.library.links.entries import Entry
from luci_dl.library.links.folders import plain_name
from luci_dl.text import printable

NAME = "llama-server"
NEEDS_HUB = False
FILE = "llama-server.ini"


def place() -> Path:
    """As `base.Target`: luci's own folder."""
    return home_of(os.environ)


def used_elsewhere(_root: Path, _entries: Sequence[Entry]) -> set[Path]:
    """As `base.Target`."""
    return set()


def draft(question: Question, root: Path) -> Draft:
    """As `base.Target`; of several shards the first is named."""
    model = question.model
    first = model.to_load
    if not first.path.name.casefold().endswith(".gguf"):
        raise ResolveError(
            f"{printable(question.name)} cannot be linked to llama-server: {first.path.name} is no GGUF file"
        )
    lines = [f"model = {first.path}"]
    lines += [f"mmproj = {file.path}" for file in model.files if file.receipt.role == "projector"]
    name = question.given or plain_name(question.name)
    if any(char in name for char in "[]\n"):
        raise ResolveError(f'the name of a preset cannot contain brackets, found "{printable(name)}"')
    path = root / FILE
    entry = Entry("section", path, name, "".join(f"{line}\n" for line in lines).encode())
    return Draft(root, name, (entry,), usage=f"llama-server --models-preset {shlex.quote(str(path))}")
