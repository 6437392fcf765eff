"""The records of links: what luci made for one model in one program, each a JSON file in luci's own folder.

A record is written before the first name is made, and again when all are. One that is not `complete` was cut off by a
crash: `link.settle` makes the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.formats import VERSION, check_version
from luci_dl.disk.layout import OnError
from luci_dl.errors import StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.library.links.base import HubFile
from luci_dl.library.links.entries import Entry, How
from luci_dl.library.links.place import links_folder

_SUFFIX = ".json"


@frozen
class Link:
    """One model, seen by one program.

    Attributes:
        target: the program's name, or "folder".
        root: the program's folder.
        name: what the program calls the model.
        given: the name that the user gave with --as; empty if none.
        how: as the user chose.
        folder, reference: the models folder, and the model.
        entries: in the order in which they are made; those that have to be `owned` are removed in the opposite one.
        complete: all entries are made.
        hub: where its files are on the Hub, as far as that was known, by their names below the models folder.
    """

    target: str
    root: Path
    name: str
    given: str
    how: How
    folder: Path
    reference: str
    entries: tuple[Entry, ...]
    complete: bool = False
    hub: Mapping[str, HubFile] = field(default_factory=dict, hash=False)

    @property
    def path(self) -> Path:
        """Where the record is."""
        key = "\0".join((self.target, str(self.root), self.name))
        return links_folder() / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}{_SUFFIX}"

    def is_of(self, folder: Path, reference: str) -> bool:
        """Whether it is a link of that model."""
        return self.reference == reference and os.path.realpath(self.folder) == os.path.realpath(folder)

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """What removing it removes, unless something else needs it."""
        return tuple(entry.path for entry in self.entries if entry.owned and not entry.shared)

    def write(self) -> None:
        """Atomically and durably. Raises: StorageError."""
        paths = {"root": str(self.root), "folder": str(self.folder)}
        parts = {
            "entries": [entry.to_json() for entry in self.entries],
            "hub": {name: vars(place) for name, place in self.hub.items()},
        }
        facts = {**vars(self), **paths, **parts, "v": VERSION}
        fs.make_folder(self.path.parent)
        fs.write_file(self.path, json.dumps(facts).encode() + b"\n")


def records(on_error: OnError) -> Iterator[Link]:
    """All links, by target and name; what cannot be read is passed to `on_error`, and what is damaged, too."""
    try:
        paths = sorted(path for path in links_folder().iterdir() if path.name.endswith(_SUFFIX))
    except OSError:
        return
    found = []
    for path in paths:
        try:
            found.append(_read(path))
        except StorageError as error:
            on_error(path, error)
    yield from sorted(found, key=lambda link: (link.target, str(link.root), link.name))


def _read(path: Path) -> Link:
    """Raises: StorageError, when it cannot be read, is damaged, or of another format."""
    try:
        facts: Any = json.loads(fs.read_own(path) or b"")
        check_version(facts, path)
        entries = tuple(map(Entry.from_json, facts["entries"]))
        fields = {key: value for key, value in facts.items() if key != "v"}
        places = {"root": Path(fields["root"]), "folder": Path(fields["folder"])}
        hub = {name: HubFile(**place) for name, place in fields.get("hub", {}).items()}
        link = Link(**{**fields, **places, "entries": entries, "hub": hub})
        if link.path != path or not isinstance(link.reference, str) or not isinstance(link.given, str):
            raise ValueError("another name, or not a text")
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError, UsageError) as error:
        raise StorageError(f"{path} is damaged", "Remove it; then make that link again.") from error
    return link
