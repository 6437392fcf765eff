"""How a name in another program's folder is made: complete before it can be seen, and never over what is not luci's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.library.links.entries import Entry, How, check, identity_of, state_of, write_section

_AUTO: tuple[How, ...] = ("reflink", "hardlink", "symlink")
_COPY_BLOCK = 4 << 20
_HINT = "Where files cannot share their bytes, copies are possible: --how copy"


def make(
    entry: Entry,
    source: Path | None,
    how: How,
    token: CancelToken,
    note: Callable[[Entry], None],
    *,
    replaces: bool = False,
) -> None:
    """Make it, unless it is there.

    Args:
        note: called with the entry as it will be, before it can be seen at its path.
        replaces: what is there now is luci's own, and out of date.

    Raises: StorageError; IntegrityError, when something else has the name; Interrupted.
    """
    state = state_of(entry, source)
    if entry.kind != "section":
        fs.unlink(entry.new)  # a crash may have left it
    is_old_symlink = replaces and os.path.islink(entry.path)  # to where the file was before a move
    if state == "ours" or (state == "same" and not is_old_symlink):
        return
    if state == "foreign" and not replaces:
        check(entry, source)
    if entry.kind == "section":
        note(entry)
        write_section(entry.path, entry.source, entry.content.decode())
        return
    fs.make_folder(entry.path.parent)
    if entry.scratch:
        fs.make_folder(entry.scratch)
    note(_fill(entry, source, how, token))
    _put(entry, replaces=replaces)


def _fill(entry: Entry, source: Path | None, how: How, token: CancelToken) -> Entry:
    """Make it at its first place. Returns: the entry with its identity."""
    if entry.kind == "symlink":
        fs.symlink(os.fsdecode(entry.content), entry.new)
        return entry
    if entry.kind == "text":
        file = fs.create(entry.new)
        fs.write_at(file, entry.content, 0)
        fs.sync_data(file)
        return entry
    if source is None:
        raise RuntimeError("a file needs a source")
    ways = _AUTO if how == "auto" else (how,)
    for way in ways:
        try:
            return _WAYS[way](entry, source, token)
        except StorageError as error:
            fs.unlink(entry.new)
            if way == ways[-1]:
                error.hint = _HINT if how == "auto" else error.hint
                raise
    raise RuntimeError("no way")


def _reflink(entry: Entry, source: Path, _token: CancelToken) -> Entry:
    original, file = fs.open_to_read(source), fs.create(entry.new)
    if not fs.clone(original, file):
        raise StorageError(
            f"{entry.path} cannot share the blocks of {source}: their file system does not support that",
            "Leave out --how: a hard link or a symlink works there.",
        )
    fs.sync_data(file)
    return replace(entry, how="reflink", identity=identity_of(file.info))


def _hard_link(entry: Entry, source: Path, _token: CancelToken) -> Entry:
    fs.hard_link(source, entry.new)
    with fs.storage_errors("look at", entry.new):
        return replace(entry, how="hardlink", identity=identity_of(os.lstat(entry.new)))


def _symlink(entry: Entry, source: Path, _token: CancelToken) -> Entry:
    fs.symlink(str(source), entry.new)
    return replace(entry, how="symlink", content=os.fsencode(source))


def _copy(entry: Entry, source: Path, token: CancelToken) -> Entry:
    return run_cancellable(lambda: _copied(entry, source, token), token)


def _copied(entry: Entry, source: Path, token: CancelToken) -> Entry:
    original, file, sha = fs.open_to_read(source), fs.create(entry.new), hashlib.sha256()
    at = 0
    while data := fs.read_at(original, _COPY_BLOCK, at):
        token.check()
        sha.update(data)
        fs.write_at(file, data, at)
        at += len(data)
    if sha.hexdigest() != entry.sha256:
        raise IntegrityError(f"{source} has changed since luci installed it", "Check it: luci verify")
    fs.sync_data(file)
    return replace(entry, how="copy", identity=identity_of(file.info))


_WAYS: Mapping[str, Callable[[Entry, Path, CancelToken], Entry]] = {
    "reflink": _reflink,
    "hardlink": _hard_link,
    "symlink": _symlink,
    "copy": _copy,
}


def _put(entry: Entry, *, replaces: bool) -> None:
    """Give it its name, which nothing else may have got meanwhile. Raises: StorageError."""
    if replaces:
        fs.rename(entry.new, entry.path)
    else:
        _put_new(entry)
    fs.sync_folder(entry.path.parent)


def _put_new(entry: Entry) -> None:
    try:
        fs.hard_link(entry.new, entry.path)  # unlike a rename, it replaces nothing
    except StorageError:
        if os.path.lexists(entry.path):
            fs.unlink(entry.new)
            raise
        fs.rename(entry.new, entry.path)  # a file system without hard links
    else:
        fs.unlink(entry.new)
