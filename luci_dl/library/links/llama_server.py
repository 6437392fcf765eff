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
_BRACKETS = frozenset("[]")


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
    lines = [f"model = {_checked(first.path)}\n"]
    lines += [f"mmproj = {_checked(file.path)}\n" for file in model.files if file.receipt.role == "projector"]
    name = question.given or plain_name(question.name)
    if name in ("", "*") or name != printable(name).strip() or not _BRACKETS.isdisjoint(name):
        raise ResolveError(
            f'the name of a preset cannot contain brackets, found "{printable(name)}"',
            'It cannot be "*" either, nor begin or end with a space. Choose another: --as NAME',
        )
    path = root / FILE
    entry = Entry("section", path, name, "".join(lines).encode())
    return Draft(root, name, (entry,), usage=f"llama-server --models-preset {shlex.quote(str(path))}")


def _checked(path: Path) -> str:
    """The path as a value. Raises: ResolveError, when it has to be escaped, of which llama-server knows no way."""
    text = str(path)
    if text != printable(text):
        raise ResolveError(
            f"the preset of llama-server cannot name {printable(text)}: it has a control character, or is not UTF-8",
            "Move the model to another folder: luci move NAME --to DIR",
        )
    return text
