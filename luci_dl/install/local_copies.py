"""Finds copies of a file on this machine by names, sizes and receipts. Reads no contents, and changes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

from luci_dl.disk.layout import is_staging_folder
from luci_dl.disk.place import device_of
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.same_folder import identity
from luci_dl.errors import LuciError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.frozen import frozen
from luci_dl.library import runners
from luci_dl.model import Artifact, Digest

MAX_NAMES = 100_000
"""How many names below a `--from` folder are considered."""
_TOO_MANY = f"more than {MAX_NAMES} names; the rest was not searched"
MAX_BY_SIZE = 4
"""If more files than this have the right size, those with other names are not worth reading."""
_JAN_DIGEST = re.compile(r"^model_sha256:\s*['\"]?([0-9a-f]{64})\b", re.MULTILINE)
_DIGEST = re.compile(r"(?:sha256-)?([0-9a-f]{64})|([0-9a-f]{40})")


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
        places = [_installed_in(folder) for folder in folders]
        hub_caches = (runners.hub_cache(environ), runners.llama_cache(environ))
        places += [_hub_blobs(cache) for cache in hub_caches if cache]
        places += [_blobs_in(models, "Ollama's models") for models in runners.ollama(environ)]
        places.append(_files_in(runners.docker(environ) / "blobs" / "sha256", "Docker's models"))
        places += [_of_jan(), _loose(runners.lm_studio(), "LM Studio"), _loose(runners.gpt4all(), "GPT4All")]
        self._cached = chain.from_iterable(places if caches else [])
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
        names = {unquote(name.rpartition("/")[2]).casefold() for name in named}
        loose = (*given, *by_any.get("", ())) if artifact.provable else given
        by_name = [file for file in loose if file.path in self._given or file.path.name.casefold() in names]
        seen: set[object] = {identity(target)}
        likely = [copy for files in (by_digest, by_name) for copy in _copies(files, artifact.size, target, seen)]
        by_size = _copies(given, artifact.size, target, seen) if artifact.size is not None else []
        return likely + (by_size if len(by_size) <= MAX_BY_SIZE else [])

    def _walk(self) -> Iterator[_File]:
        for path in self._given:
            if os.path.isdir(path):
                files = _below(path, lambda path: self._emit(Warned(f"--from: {path} has {_TOO_MANY}")))
                yield from (_File(file, str(path), _digest_in(file.name)) for file in files)
            else:
                yield _File(path, str(path.parent), _digest_in(path.name))


def _below(top: Path, on_too_many: Callable[[Path], None] = lambda _top: None) -> Iterator[Path]:
    """The files below the folder, up to `MAX_NAMES`, except those that luci keeps for itself."""
    seen = 0
    for where, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not is_staging_folder(name))
        for name in sorted(names):
            yield Path(where, name)
        seen += len(names) + len(folders)
        if seen > MAX_NAMES:
            on_too_many(top)
            return


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


def _digest_in(name: str) -> str:
    match = _DIGEST.fullmatch(name)
    return (match[1] or match[2]) if match else ""


def _installed_in(folder: Path) -> Iterator[_File]:
    """Installed files, unchanged since, and those that somebody may have renamed."""
    from luci_dl.library.installed import installed  # not needed until a copy is looked for

    with contextlib.suppress(LuciError):
        files = [file for model in installed([folder]) for file in model.files]
        yield from (_File(file.path, str(folder), file.receipt.sha256) for file in files if file.state == "ok")
        missing = [file.receipt for file in files if file.state == "missing"]
        yield from _renamed_in(folder, missing, {file.path for file in files})


def _renamed_in(folder: Path, missing: Sequence[Receipt], others: Collection[Path]) -> Iterator[_File]:
    """For each missing file those of its size in the folder, not `others`; first those that have its mtime, too."""
    found: dict[int, list[tuple[int, Path]]] = {known.size: [] for known in missing}
    for path in _below(folder) if missing else ():
        with contextlib.suppress(OSError):
            info = os.stat(path)
            if info.st_size in found and path not in others:
                found[info.st_size].append((info.st_mtime_ns, path))
    for known in missing:
        likely = sorted(found[known.size], key=lambda pair: pair[0] != known.mtime_ns)
        for _, path in likely[:MAX_BY_SIZE]:
            yield _File(path, f"{folder} as {path.relative_to(folder)}", known.sha256)


def _hub_blobs(cache: Path) -> Iterator[_File]:
    """Named by their SHA-256, or by their git blob SHA-1 if they are not in LFS."""
    for repo in _entries(cache):
        if "--" in repo.name:
            yield from _blobs_in(repo, "the Hugging Face cache")


def _loose(folder: Path, where: str) -> Iterator[_File]:
    """Files whose names say nothing about their bytes: they count if name and size are right, and are read then."""
    yield from (_File(path, where, "") for path in _below(folder) if path.suffix == ".gguf")


def _of_jan() -> Iterator[_File]:
    """Jan's models are all called model.gguf; the file beside each says what it is."""
    for note in _below(runners.jan()):
        if note.name == "model.yml":
            with contextlib.suppress(OSError, UnicodeDecodeError):
                if known := _JAN_DIGEST.search(note.read_text()):
                    yield _File(note.with_name("model.gguf"), "Jan", known[1])


def _blobs_in(folder: Path, where: str) -> Iterator[_File]:
    yield from _files_in(folder / "blobs", where)


def _files_in(folder: Path, where: str) -> Iterator[_File]:
    """Files that are named by their digest."""
    for path in _entries(folder):
        if digest := _digest_in(path.name):
            yield _File(path, where, digest)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # it does not exist, or is not readable
        return []
