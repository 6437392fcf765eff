"""Copies of a file that lie on this machine already, by what their names, receipts and sizes say. Reads only."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

from luci_dl.disk.layout import FOLDER
from luci_dl.errors import LuciError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.library.installed import installed
from luci_dl.model import Artifact, Digest

MOST_NAMES = 100_000
"""Names that are looked at below a given folder."""
FEW = 4
"""So many files of the right size, and no more, are worth reading though their names say nothing."""
_DIGEST = re.compile(r"(?:sha256-)?([0-9a-f]{64})|([0-9a-f]{40})")
_OLLAMA_OF_THE_SYSTEM = "/usr/share/ollama/.ollama/models"


@dataclass(frozen=True)
class Copy:
    """A file that may have the bytes that are wanted: reading it will tell.

    Attributes:
        where: as a person calls the place, like "the Hugging Face cache".
        size: bytes.
    """

    path: Path
    where: str
    size: int


@dataclass(frozen=True)
class _File:
    """A file of a place. `digest`: the SHA-256 or the git blob SHA-1 that it is said to have; empty if nobody says."""

    path: Path
    where: str
    digest: str


class Copies:
    """Where to look; each place is listed once, when it is first asked. For any thread, but one that may wait."""

    def __init__(
        self, environ: Mapping[str, str], folders: Sequence[Path], given: Sequence[Path], *, caches: bool, emit: Emit
    ) -> None:
        """The places: `given` files and folders, and with `caches` those of other programs and the models `folders`.

        Raises: UsageError, when something given is not there.
        """
        for path in given:
            if not os.path.exists(path):
                raise UsageError(f"--from: there is nothing at {path}", "Is the disk mounted?")
        self._given = given
        self._emit = emit
        places = [_installed_in(folder) for folder in folders]
        places += [_blobs_of_the_hub(_hub_cache(environ)), *map(_blobs_of_ollama, _ollama_folders(environ))]
        self._told = chain.from_iterable(places if caches else [])
        self._lists: tuple[list[_File], list[_File]] | None = None
        self._lock = threading.Lock()

    def find(self, artifact: Artifact, target: Path) -> list[Copy]:
        """Files that may be the artifact, the likeliest first, those on the target's own disk before others.

        Where nothing is known that could prove one, only those that were given, and bear its name or size.
        """
        with self._lock:
            if self._lists is None:
                self._lists = list(self._walk()), list(self._told)
        given, told = self._lists
        sure = [file for file in chain(given, told) if _is_said_to_be(artifact, file.digest)]
        names = {unquote(name.rpartition("/")[2]).casefold() for name in (artifact.name, *map(_path_of, artifact.urls))}
        named = [file for file in given if file.path in self._given or file.path.name.casefold() in names]
        found = _Found(artifact.size, target)
        likely = found.those(sure) + found.those(named)
        others = found.those(given) if artifact.size is not None else []
        return likely + (others if len(others) <= FEW else [])

    def _walk(self) -> Iterator[_File]:
        for path in self._given:
            if os.path.isdir(path):
                yield from (_File(file, str(path), _digest_in(file.name)) for file in self._below(path))
            else:
                yield _File(path, str(path.parent), _digest_in(path.name))

    def _below(self, top: Path) -> Iterator[Path]:
        seen = 0
        for where, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name != FOLDER)
            for name in sorted(names):
                yield Path(where, name)
            seen += len(names) + len(folders)
            if seen > MOST_NAMES:
                self._emit(Warned(f"--from: {top} has more than {MOST_NAMES} names; the rest was not looked at"))
                return


class _Found:
    """Turns what is listed into copies: plain files of the right size, each once, and never the target itself."""

    def __init__(self, size: int | None, target: Path) -> None:
        self._size = size
        self._device = next(_device(path) for path in (target, *target.parents) if os.path.exists(path))
        self._seen = {identity for identity in [_identity(target)] if identity}

    def those(self, files: Sequence[_File]) -> list[Copy]:
        copies: list[tuple[bool, Copy]] = []
        for file in files:
            with contextlib.suppress(OSError):
                info = os.stat(file.path)
                identity = (info.st_dev, info.st_ino)
                right = info.st_size == self._size if self._size is not None else info.st_size > 0
                if stat.S_ISREG(info.st_mode) and right and identity not in self._seen:
                    self._seen.add(identity)
                    copies.append((info.st_dev != self._device, Copy(file.path, file.where, info.st_size)))
        return [copy for _, copy in sorted(copies, key=lambda pair: pair[0])]


def _device(path: Path) -> int:
    return os.stat(path).st_dev


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        info = os.stat(path)
        return info.st_dev, info.st_ino
    return None


def _is_said_to_be(artifact: Artifact, digest: str) -> bool:
    if len(digest) != Digest.SHA256.digits:
        return bool(digest) and digest in artifact.digests.values()
    if artifact.size is None:  # nothing else can be derived from the SHA-256 then
        return artifact.sha256 == digest
    derived = any(artifact.expected(kind) for kind in Digest if kind.derive)
    return derived and artifact.may_be(digest)


def _digest_in(name: str) -> str:
    match = _DIGEST.fullmatch(name)
    return (match[1] or match[2]) if match else ""


def _path_of(url: str) -> str:
    return urlsplit(url).path


def _installed_in(folder: Path) -> Iterator[_File]:
    """What luci installed there, and nobody has changed."""
    with contextlib.suppress(LuciError):
        for model in installed([folder]):
            for file in model.files:
                if file.state == "ok":
                    yield _File(file.path, str(folder), file.receipt.sha256)


def _blobs_of_the_hub(cache: Path) -> Iterator[_File]:
    """Named by their SHA-256, or by their git blob SHA-1 where they are not LFS."""
    for repo in _names_in(cache):
        if "--" in repo.name:
            yield from _blobs_in(repo / "blobs", "the Hugging Face cache")


def _blobs_of_ollama(models: Path) -> Iterator[_File]:
    return _blobs_in(models / "blobs", "Ollama's models")


def _blobs_in(folder: Path, where: str) -> Iterator[_File]:
    for path in _names_in(folder):
        if digest := _digest_in(path.name):
            yield _File(path, where, digest)


def _names_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # it is not there, or not ours to read
        return []


def _hub_cache(environ: Mapping[str, str]) -> Path:
    home = environ.get("HF_HOME") or os.path.join(environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expanduser(cache))


def _ollama_folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    own = Path(os.path.expanduser(environ.get("OLLAMA_MODELS") or "~/.ollama/models"))
    return own, Path(_OLLAMA_OF_THE_SYSTEM)
