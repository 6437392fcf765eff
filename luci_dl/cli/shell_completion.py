"""Completions of a line at luci's prompt."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from click.shell_completion import CompletionItem, split_arg_string

LEAVE = ("exit", "quit")
"""What leaves the prompt."""


def complete_line(line: str) -> list[str]:
    """Completions of the last word (after `--name=`, of the value). Those that would need quotes are left out."""
    from luci_dl.cli.completion import completions

    words = split_arg_string(line)
    last = words.pop() if words and not line[-1].isspace() else ""
    if words[:1] == ["luci"]:
        del words[0]
    found = [text for item in completions(words, last) for text in _texts(item)]
    if not words:
        found += [f"{word} " for word in LEAVE if word.startswith(last)]
    return [text for text in found if shlex.quote(text.rstrip(" ")) == text.rstrip(" ") or text.startswith("~")]


def _texts(item: CompletionItem[str]) -> Iterator[str]:
    """The word and a space; a folder without one, because its path may continue."""
    if item.type in ("dir", "file"):
        yield from _paths(item.value, files=item.type == "file")
    else:
        yield f"{item.value} "


def _paths(begin: str, *, files: bool) -> Iterator[str]:
    folder, slash, name = begin.rpartition("/")
    with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            hidden = entry.name.startswith(".") and not name.startswith(".")
            if entry.name.startswith(name) and not hidden:
                if entry.is_dir():
                    yield f"{folder}{slash}{entry.name}/"
                elif files:
                    yield f"{folder}{slash}{entry.name} "
