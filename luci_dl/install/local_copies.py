"""Finds copies of a file on this machine by names, sizes and receipts. Reads no contents, and changes nothing."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

from luci_dl.disk.place import device_of
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.same_folder import identity
from luci_dl.errors import LuciError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Digest

MAX_BY_SIZE = 4
"""If more files than this have the right size, those with other names are not worth reading."""


@frozen
class LocalCopy:
    """A file that probably has the wanted bytes.

    Attributes:
        where: the place in words, like "the Hugging Face cache".
        size: bytes.
    """

    path: Path
    where: str
    size: int


@frozen
class _File:
    """A file in one of the places. `digest`: its SHA-256 or git blob SHA-1 by its name or receipt; empty if unknown."""

    path: Path
    where: str
    digest: str


class Copies:
    """The places to look in. Each is listed once, at the first search, which may take long. Thread-safe."""

    def __init__(
        self, environ: Mapping[str, str], folders: Sequence[Path], given: Sequence[Path], *, caches: bool, emit: Emit
    ) -> None:
        """The places: the `given` files and folders; with `caches` also other programs' caches and models `folders`.

        Raises: UsageError, if a given file or folder does not exist.
        """
        for path in given:
            if not os.path.exists(path):
                raise UsageError(f"--from: {path} does not exist", "Is the disk mounted?")
        self._given = given
        self._emit = emit
        self._cached = _cached(environ, folders) if caches else iter(())
        self._lists: tuple[list[_File], dict[str, list[_File]]] | None = None  # those given; all, by digest
        self._lock = threading.Lock()

    def find(self, artifact: Artifact, target: Path) -> list[LocalCopy]:
        """Files that may be the artifact, the most likely first, then those on the target's own disk.

        If no digest of the artifact is known, only given files that have its name or size.
        """
        with self._lock:
            if self._lists is None:
                given = list(self._walk())
                self._lists = given, _by_digest(chain(given, self._cached))
        given, by_any = self._lists
        digests = [digest for digest in _possible(artifact, by_any) if _has_digest(artifact, digest)]
        by_digest = [file for digest in digests for file in by_any.get(digest, ())]
        if not (given or by_digest or "" in by_any):
            return []
        named = (artifact.name, *(urlsplit(url).path for url in artifact.urls))
        plain = (unquote(name.rpartition("/")[2]).casefold() for name in named)
        names = tuple(filter(None, plain))
        loose = (*given, *by_any.get("", ())) if artifact.provable else given
        by_name = [file for file in loose if file.path in self._given or _is_named(file.path, names)]
        seen: set[object] = {identity(target)}
        likely = [copy for files in (by_digest, by_name) for copy in _copies(files, artifact.size, target, seen)]
        by_size = _copies(given, artifact.size, target, seen) if artifact.size is not None else []
        return likely + (by_size if len(by_size) <= MAX_BY_SIZE else [])

    def _walk(self) -> Iterator[_File]:
        from luci_dl.library.programs import below, digest_in

        for path in self._given:
            if os.path.isdir(path):
                files = below(path, lambda _path, error: self._emit(Warned(f"--from: {error.message}")))
                yield from (_File(file, str(path), digest_in(file.name)) for file in files)
            else:
                yield _File(path, str(path.parent), digest_in(path.name))


def _copies(files: Iterable[_File], size: int | None, target: Path, seen: set[object]) -> list[LocalCopy]:
    """The regular files of the right size that were not `seen`, those on the target's disk first."""
    device = device_of(target.parent)
    copies: list[tuple[bool, LocalCopy]] = []
    for file in files:
        with contextlib.suppress(OSError):
            info = os.stat(file.path)
            right = info.st_size == size if size is not None else info.st_size > 0
            if stat.S_ISREG(info.st_mode) and right and identity(file.path) not in seen:
                seen.add(identity(file.path))
                copies.append((info.st_dev != device, LocalCopy(file.path, file.where, info.st_size)))
    return [copy for _, copy in sorted(copies, key=lambda pair: pair[0])]


def _possible(artifact: Artifact, known: Iterable[str]) -> Iterable[str]:
    """The digests that bytes of the artifact may have: its own, or `known` ones from which its own is derived."""
    return known if artifact.sha256 is None else (artifact.sha256, *artifact.digests.values())


def _has_digest(artifact: Artifact, digest: str) -> bool:
    """Whether bytes of that digest may be the artifact."""
    if len(digest) != Digest.SHA256.digits:
        return bool(digest) and digest in artifact.digests.values()
    if artifact.size is None:  # nothing else can be derived from the SHA-256 then
        return artifact.sha256 == digest
    derived = any(artifact.expected(kind) for kind in Digest if kind.derive)
    return derived and artifact.may_be(digest)


def _by_digest(files: Iterable[_File]) -> dict[str, list[_File]]:
    found: dict[str, list[_File]] = {}
    for file in files:
        found.setdefault(file.digest, []).append(file)
    return found


def _is_named(path: Path, names: tuple[str, ...]) -> bool:
    """Whether it has one of the names, perhaps behind OWNER_REPO_ as in llama.cpp's older cache."""
    name = path.name.casefold()
    return name in names or name.endswith(tuple(f"_{each}" for each in names))


def _cached(environ: Mapping[str, str], folders: Sequence[Path]) -> Iterator[_File]:
    from luci_dl.library.folder import skip  # not needed until a copy is looked for
    from luci_dl.library.programs import program_files

    for folder in folders:
        yield from _installed_in(folder)
    for file in program_files(environ, skip):
        yield _File(file.path, file.where, file.digest)


def _installed_in(folder: Path) -> Iterator[_File]:
    """Installed files, those unchanged since, then those whose mtime has changed, then what may have been renamed."""
    from luci_dl.library.installed import installed

    with contextlib.suppress(LuciError):
        files = [file for model in installed([folder]) for file in model.files]
        for state in ("ok", "touched"):
            yield from (_File(file.path, str(folder), file.receipt.sha256) for file in files if file.state == state)
        missing = [file.receipt for file in files if file.state == "missing"]
        yield from _renamed_in(folder, missing, {file.path for file in files})


def _renamed_in(folder: Path, missing: Sequence[Receipt], others: Collection[Path]) -> Iterator[_File]:
    """For each missing file those of its size in the folder, not `others`; first those that have its mtime, too."""
    from luci_dl.library.folder import skip
    from luci_dl.library.programs import below

    found: dict[int, list[tuple[int, Path]]] = {known.size: [] for known in missing}
    for path in below(folder, skip) if missing else ():
        with contextlib.suppress(OSError):
            info = os.stat(path)
            if info.st_size in found and path not in others:
                found[info.st_size].append((info.st_mtime_ns, path))
    for known in missing:
        likely = sorted(found[known.size], key=lambda pair: pair[0] != known.mtime_ns)
        for _, path in likely[:MAX_BY_SIZE]:
            yield _File(path, f"{folder} as {path.relative_to(folder)}", known.sha256)
