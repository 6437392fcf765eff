"""One name that a link makes in another program's folder: how it is recognised again and removed.

What luci did not make, or somebody has changed since, is never touched.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from luci_dl.disk import fs
from luci_dl.errors import IntegrityError, StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.library.links import ini
from luci_dl.names import check_name

How = Literal["auto", "reflink", "hardlink", "symlink", "copy"]
"""How a name gets the bytes of an installed file; auto: the first of reflink, hard link and symlink that works."""
Kind = Literal["file", "text", "symlink", "section"]
State = Literal["missing", "ours", "same", "foreign"]
_NEW = ".luci-new-"
_INI_BEGINS = "version = 1\n"


@frozen
class Entry:
    """One name to make.

    Attributes:
        kind: "file": the bytes of an installed file; "text": a small file with that content; "symlink": one that leads
            to the content; "section": the lines of one section in an INI file, which keeps its others.
        path: where.
        source: of a file: its name below the models folder. Of a section: its name.
        size, sha256: of a file.
        named_by_digest: whatever has that name and size has these bytes.
        scratch: the folder for what is not complete yet; empty: beside the path. It is on the same file system.
        shared: it serves all models, and stays when the link is removed.
        how: how a file was made; empty before that.
        identity: device, inode, size and mtime of the file that was made.
        owned: luci made it.
    """

    kind: Kind
    path: Path
    source: str = ""
    content: bytes = b""
    size: int = 0
    sha256: str = ""
    named_by_digest: bool = False
    scratch: Path | None = None
    shared: bool = False
    how: str = ""
    identity: tuple[int, ...] = ()
    owned: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        content = base64.b64encode(self.content).decode()
        scratch = self.scratch and str(self.scratch)
        return {**vars(self), "path": str(self.path), "content": content, "scratch": scratch}

    @classmethod
    def from_json(cls, facts: Any) -> Entry:
        """Raises: ValueError, TypeError, UsageError, when it is invalid."""
        entry = cls(**facts)
        entry = replace(
            entry,
            path=_checked(facts["path"]),
            scratch=facts["scratch"] and _checked(facts["scratch"]),
            content=base64.b64decode(facts["content"], validate=True),
            identity=tuple(map(int, facts["identity"])),
        )
        if entry.kind == "file":
            check_name(entry.source)
        return entry

    @property
    def place(self) -> tuple[Path, str]:
        """What no two names share: the path; in an INI file each section is one."""
        return self.path, self.source if self.kind == "section" else ""

    @property
    def new(self) -> Path:
        """Where it is made before it gets its name."""
        name = _NEW + hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return (self.scratch or self.path.parent) / name


def _checked(text: str) -> Path:
    if not os.path.isabs(text) or ".." in Path(text).parts or "\0" in text:
        raise ValueError(f"not a path of a link: {text}")
    return Path(text)


def state_of(entry: Entry, source: Path | None = None) -> State:
    """What is at the path: nothing; what luci made; something that serves as well; something else.

    Args:
        source: the installed file.

    Raises: StorageError.
    """
    with fs.storage_errors("look at", entry.path):
        try:
            info = os.lstat(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
    if entry.kind == "section":
        lines = ini.section(_text_of(entry.path), entry.source)
        return "missing" if lines is None else _owned(entry, lines == entry.content.decode())
    if entry.kind == "symlink" or entry.how == "symlink":
        leads_to = os.fsencode(os.readlink(entry.path)) if stat.S_ISLNK(info.st_mode) else None
        return _owned(entry, leads_to == entry.content)
    if entry.kind == "text":
        return _owned(entry, stat.S_ISREG(info.st_mode) and _bytes_of(entry.path, info.st_size) == entry.content)
    if entry.owned and identity_of(info) == entry.identity:
        return "ours"
    with contextlib.suppress(OSError):
        there = os.stat(entry.path)
        if source and os.path.samestat(there, os.stat(source)):
            return "same"
        if entry.named_by_digest and stat.S_ISREG(there.st_mode) and there.st_size == entry.size:
            return "same"
    return "foreign"


def _owned(entry: Entry, is_equal: bool) -> State:
    if not is_equal:
        return "foreign"
    return "ours" if entry.owned else "same"


def identity_of(info: os.stat_result) -> tuple[int, ...]:
    """What tells a file that luci made from another one at its path. A runner may change the mtime."""
    return (info.st_dev, info.st_ino, info.st_size)


def check(entry: Entry, source: Path | None) -> None:
    """Raises: IntegrityError, when something else has the name; StorageError, when nothing can be made there."""
    state = state_of(entry, source)
    if state == "foreign":
        what = f"has a section [{entry.source}]" if entry.kind == "section" else "exists"
        raise IntegrityError(
            f"{entry.path} {what}, and luci did not make it",
            "Move it away, or link under another name with --as.",
        )
    if state == "missing":
        there = next(filter(os.path.lexists, entry.path.parents))
        if not os.path.isdir(there):
            raise StorageError(f"{there} is not a folder", "Move it away, or link to another folder.")
        try:
            fs.check_writable(entry.path.parent)
        except StorageError as error:
            hint = "luci has to write there: run this as the user to whom it belongs, or mount it writable."
            raise StorageError(error.message, hint, error.reason) from error


def remove(entry: Entry) -> bool:
    """Remove what luci made there. Returns: whether it is gone. Raises: StorageError."""
    if os.path.lexists(entry.new):
        fs.unlink(entry.new)
    state = state_of(entry)
    if not entry.owned or entry.shared or state != "ours":
        return state == "missing"
    if entry.kind == "section":
        write_section(entry.path, entry.source, None)
    else:
        fs.unlink(entry.path)
    return True


def remove_empty_folders(entry: Entry, root: Path) -> None:
    """Remove the folders between the entry and the root that are empty."""
    folder = entry.path.parent
    while folder != root and root in folder.parents and fs.remove_empty(folder):
        folder = folder.parent


def write_section(path: Path, name: str, lines: str | None) -> None:
    """Replace the lines of a section, or remove it; the rest of the file stays. Raises: StorageError; UsageError."""
    fs.make_folder(path.parent)
    text = _text_of(path)
    changed = ini.without(text, name) if lines is None else ini.with_section(text or _INI_BEGINS, name, lines)
    fs.write_file(path, changed.encode(), keep_mode=True)


def _text_of(path: Path) -> str:
    with fs.storage_errors("read", path):
        try:
            return path.read_text()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not in UTF-8", "Save it as UTF-8.") from error


def _bytes_of(path: Path, size: int) -> bytes:
    return fs.read_at(fs.open_to_read(path), size + 1, 0)
