"""Links made and removed: all names of one, or none, one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, lock
from luci_dl.errors import LuciError
from luci_dl.library.folder import skip
from luci_dl.library.links import entries as names
from luci_dl.library.links.base import Draft, Question, Target
from luci_dl.library.links.entries import Entry
from luci_dl.library.links.making import make as make_name
from luci_dl.library.links.place import lock_path
from luci_dl.library.links.record import Link, records
from luci_dl.library.links.standing import is_entry_current, source_of
from luci_dl.library.links.targets import by_name


@contextlib.contextmanager
def changing_links(token: CancelToken) -> Iterator[None]:
    """Keeps other processes from changing links while the block runs.

    Raises: StorageError; Interrupted, while another process changes some.
    """
    with lock.file_lock(lock_path(), token):
        yield


def link_of(target: Target, drafted: Draft, question: Question) -> Link:
    """What is to be made, as a record."""
    model = question.model
    return Link(
        target.NAME,
        drafted.root,
        drafted.name,
        question.given,
        question.how,
        model.folder,
        model.reference,
        drafted.entries,
        hub=question.hub or {},
    )


def check(link: Link) -> None:
    """Whether all of it can be made. Raises: IntegrityError; StorageError; UsageError."""
    earlier = _earlier(link)
    for entry in link.entries:
        if not _is_replaceable(earlier.get(entry.place)):
            names.check(entry, source_of(link, entry))


def make(link: Link, token: CancelToken) -> Link:
    """Make all of it, or none. What luci made there earlier, for this model or another version of it, is replaced.

    Args: `token`: ends copying.

    Returns: the link as it was made. Call it within `changing_links`.
    Raises: IntegrityError; StorageError; UsageError; Interrupted.
    """
    check(link)
    before = next((each for each in records(skip) if each.path == link.path), None)
    earlier = {path: entry for path, entry in _earlier(link).items() if _is_replaceable(entry)}
    if before:
        link = _with_owned(link, before)
    making = _Making(link, before, earlier)
    making.write()
    made = list[Path]()
    try:
        made = fs.make_folder(link.root)
        for number in range(len(link.entries)):
            making.make(number, token)
        done = replace(link, entries=tuple(making.entries), complete=True)
        done.write()
    except BaseException:
        if not before:  # else `follow.settle_all` tries again
            with contextlib.suppress(LuciError):
                unmake(making.link)
        for folder in reversed(made):
            fs.remove_empty(folder)
        raise
    if before:
        _remove_entries(before, {entry.path for entry in done.entries})
    return done


class _Making:
    """A link that is being made, with its record: what luci has made is there before it can be seen."""

    def __init__(self, link: Link, before: Link | None, earlier: Mapping[tuple[Path, str], Entry]) -> None:
        self._link = link
        self._earlier = earlier
        self._rest = [entry for entry in before.entries if entry.owned] if before else []
        self.entries = list(map(self._planned, link.entries))

    def _planned(self, entry: Entry) -> Entry:
        if entry.owned:
            return entry
        is_missing = names.state_of(entry, source_of(self._link, entry)) == "missing"
        return replace(entry, owned=is_missing or entry.place in self._earlier)

    @property
    def link(self) -> Link:
        """As it is now, with what an earlier version of it made and this one does not need."""
        paths = {entry.path for entry in self.entries if entry.identity or entry.kind != "file"}
        rest = [entry for entry in self._rest if entry.path not in paths]
        kept = {entry.path for entry in rest}
        return replace(self._link, entries=(*rest, *(entry for entry in self.entries if entry.path not in kept)))

    def write(self) -> None:
        """Write the record. Raises: StorageError."""
        self.link.write()

    def make(self, number: int, token: CancelToken) -> None:
        """Make one entry. Raises: StorageError; IntegrityError; Interrupted."""

        def note(made: Entry) -> None:
            self.entries[number] = made
            if made.kind == "file":
                self.write()

        entry = self.entries[number]
        replaces = entry.place in self._earlier and not self._link.entries[number].owned
        make_name(entry, source_of(self._link, entry), self._link.how, token, note, replaces=replaces)


def _with_owned(link: Link, before: Link) -> Link:
    """The link, with what an earlier version of it made and is as this one needs it, too."""
    old = {entry.path: entry for entry in before.entries if entry.owned}

    def known(entry: Entry) -> Entry:
        there = old.get(entry.path)
        if there is None or there.sha256 != entry.sha256 or (entry.kind != "file" and there.content != entry.content):
            return entry
        candidate = replace(entry, owned=True, identity=there.identity, how=there.how, content=there.content)
        return candidate if is_entry_current(link, candidate) else entry

    return replace(link, entries=tuple(map(known, link.entries)))


def _earlier(link: Link) -> dict[tuple[Path, str], Entry]:
    """What luci made at these places, for whichever model."""
    places = {entry.place for entry in link.entries}
    found = (entry for each in records(skip) for entry in each.entries)
    return {entry.place: entry for entry in found if entry.place in places and entry.owned}


def _is_replaceable(entry: Entry | None) -> bool:
    return entry is not None and names.state_of(entry) in ("ours", "missing")


def unmake(link: Link) -> tuple[list[Path], list[Path]]:
    """Remove the link. Call it within `changing_links`.

    Returns: the paths that were removed, and those that were left, because they are not as luci made them, or others
        need them. Raises: StorageError; what is left then can be removed again.
    """
    link = _as_recorded(link)
    replace(link, complete=False).write()
    removed, left = _remove_entries(link, set())
    _forget(link)
    return removed, left


def _remove_entries(link: Link, keep: set[Path]) -> tuple[list[Path], list[Path]]:
    needed = by_name(link.target).used_elsewhere(link.root, link.entries)
    heirs = {entry.place: other for other in records(skip) if other.path != link.path for entry in other.entries}
    removed, left = list[Path](), list[Path]()
    for entry in reversed(link.entries):
        if not entry.owned or entry.shared or entry.path in keep:
            continue
        if entry.place in heirs:
            if names.state_of(entry) == "ours":
                _inherit(heirs[entry.place], entry)
            left.append(entry.path)
        elif entry.path in needed:
            left.append(entry.path)
        else:
            (removed if names.remove(entry) else left).append(entry.path)
            names.remove_empty_folders(entry, link.root)
    return removed, left


def _inherit(heir: Link, entry: Entry) -> None:
    """Another link needs the name, too: from now on it is that one's to remove."""
    current = _as_recorded(heir)
    changed = tuple(
        replace(each, owned=True, identity=entry.identity, how=entry.how) if each.place == entry.place else each
        for each in current.entries
    )
    replace(current, entries=changed).write()


def _as_recorded(link: Link) -> Link:
    """The link with what it has inherited since."""
    return next((each for each in records(skip) if each.path == link.path), link)


def _forget(link: Link) -> None:
    fs.unlink(link.path)
