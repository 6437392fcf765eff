"""How a line at luci's prompt may go on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from click.shell_completion import CompletionItem, split_arg_string


def complete_line(line: str) -> list[str]:
    """What its last word (of an option `--name=value` the value) may become. What would need quotes is left out."""
    from luci_dl.cli.completion import ways_on

    words = split_arg_string(line)
    last = words.pop() if words and not line[-1].isspace() else ""
    if words[:1] == ["luci"]:
        del words[0]
    found = [text for item in ways_on(words, last) for text in _texts(item)]
    if not words:
        found += [f"{word} " for word in ("exit", "quit") if word.startswith(last)]
    return [text for text in found if shlex.quote(text.rstrip(" ")) == text.rstrip(" ") or text.startswith("~")]


def _texts(item: CompletionItem[str]) -> Iterator[str]:
    """The word with a space after it, as the next one comes; below a folder one may still go on."""
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
