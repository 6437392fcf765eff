"""What the programs on this machine hold, and which bytes are on the disk twice. Reads no contents of models.

Digests come from names, manifests and receipts. Files that share blocks (reflinks) cannot be told from copies.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from luci_dl.disk.layout import OnError
from luci_dl.disk.same_folder import distinct
from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.library import runners
from luci_dl.library.installed import installed
from luci_dl.library.links.ollama_names import FOLDERS, HOST_IN_NEWER, shown
from luci_dl.sources.ollama.name import DEFAULT_HOST, Name

_DIGEST = re.compile(r"(?:sha256[:-])?([0-9a-f]{64})")
_JAN_DIGEST = re.compile(r"^model_sha256:\s*['\"]?([0-9a-f]{64})\b", re.MULTILINE)
_MODELS = (".gguf", ".safetensors", ".bin")
_MODEL_LAYER = ("application/vnd.ollama.image.model", "application/vnd.ollama.image.projector")
_LEAST = 1 << 20  # bytes; smaller files are no models
_MAX_NAMES = 100_000  # below a program's folder; the rest is not searched
_MOST_NOTES = 1 << 20  # bytes of a manifest or a note that are read


@frozen
class Held:
    """One file of a model that a program holds.

    Attributes:
        name: what the program calls it.
        sha256: empty if it is unknown.
        inode: its device and its number, the same for all names of one file.
    """

    program: str
    name: str
    path: Path
    size: int
    sha256: str
    inode: tuple[int, int]


@frozen
class Found:
    """A file, and the others with the same bytes.

    Attributes:
        twice: files with the same bytes elsewhere on the disk.
        perhaps: files of the same size elsewhere on the disk, where a digest is unknown.
        shared: other names of the same file, which take no room.
    """

    file: Held
    twice: tuple[Held, ...]
    perhaps: tuple[Held, ...]
    shared: tuple[Held, ...]


def everywhere(environ: Mapping[str, str], folders: Sequence[Path], on_error: OnError) -> list[Found]:
    """All models of luci and of the other programs. What cannot be read is passed to `on_error`."""
    held = list(_Seeing(on_error).all(environ, folders))
    known = {each.inode: each.sha256 for each in held if each.sha256}  # a name may say what another one does not
    held = [replace(each, sha256=known.get(each.inode, "")) for each in held]
    of_inode, of_digest = _grouped(held, lambda each: each.inode), _grouped(held, lambda each: each.sha256)
    of_size, unknown = _grouped(held, _size), _grouped((each for each in held if not each.sha256), _size)
    found = []
    for each in held:
        shared = tuple(other for other in of_inode[each.inode] if other.path != each.path)
        same = of_digest[each.sha256] if each.sha256 else []
        alike = unknown.get(each.size, []) if each.sha256 else of_size[each.size]
        twice, perhaps = (tuple(other for other in some if other.inode != each.inode) for some in (same, alike))
        found.append(Found(each, twice, perhaps, shared))
    return found


def wasted(found: Iterable[Found]) -> int:
    """Bytes that could be saved at most, if every file were there once: of those whose digests are known."""
    inodes: dict[str, dict[tuple[int, int], int]] = {}
    for each in found:
        if each.file.sha256:
            inodes.setdefault(each.file.sha256, {})[each.file.inode] = each.file.size
    return sum(sum(sizes.values()) - max(sizes.values()) for sizes in inodes.values())


def perhaps_wasted(found: Sequence[Found]) -> int:
    """Bytes that might be saved besides: of files whose digests are unknown, and which have the size of others."""
    unknown = {each.file.inode: each.file.size for each in found if not each.file.sha256}
    known = {each.file.size for each in found if each.file.sha256}
    sizes = Counter(unknown.values())
    return sum(size * (count - (size not in known)) for size, count in sizes.items())


def _size(held: Held) -> int:
    return held.size


def _grouped(held: Iterable[Held], key: Callable[[Held], Any]) -> dict[Any, list[Held]]:
    found: dict[Any, list[Held]] = {}
    for each in held:
        found.setdefault(key(each), []).append(each)
    return found


class _Seeing:
    """Looks into the folders of programs, each file once under its first name."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error

    def all(self, environ: Mapping[str, str], folders: Sequence[Path]) -> Iterator[Held]:
        """Everything, luci's own first."""
        for model in installed(folders, self._on_error):
            for file in model.files:
                digest = "" if file.state == "changed" else file.receipt.sha256
                yield from self._held("luci", model.reference, file.path, digest)
        for cache in distinct(filter(None, (runners.hub_cache(environ), runners.llama_cache(environ)))):
            yield from self._of_hub(cache)
        for root in distinct(runners.ollama(environ)):
            yield from self._of_ollama(root)
        yield from self._of_docker(runners.docker(environ))
        yield from self._of_jan(runners.jan())
        for program, root in (("LM Studio", runners.lm_studio()), ("GPT4All", runners.gpt4all())):
            for path in self._below(root):
                if path.suffix in _MODELS:
                    yield from self._held(program, str(path.relative_to(root)), path, "")

    def _of_hub(self, cache: Path) -> Iterator[Held]:
        for repo in self._entries(cache):
            if repo.name.startswith("models--"):
                name = repo.name.removeprefix("models--").replace("--", "/", 1)
                for path in self._below(repo / "snapshots"):
                    inner = "/".join(path.relative_to(repo / "snapshots").parts[1:])
                    blob = Path(os.path.realpath(path)).name if path.is_symlink() else ""
                    pointed = os.path.basename(os.readlink(path)) if path.is_symlink() else ""
                    yield from self._held("Hugging Face", f"{name}/{inner}", path, _digest(pointed) or _digest(blob))

    def _of_ollama(self, root: Path) -> Iterator[Held]:
        for manifests in (root / folder for folder in FOLDERS):
            for path in self._below(manifests):
                parts = path.relative_to(manifests).parts
                if len(parts) == 4:
                    host = DEFAULT_HOST if parts[0] == HOST_IN_NEWER else parts[0]
                    yield from self._of_manifest(path, shown(Name(host, *parts[1:])), root / "blobs")

    def _of_manifest(self, path: Path, name: str, blobs: Path) -> Iterator[Held]:
        for layer in _list_of(self._json(path), "layers"):
            digest = _digest(layer.get("digest"))
            if digest and layer.get("mediaType") in _MODEL_LAYER:
                yield from self._held("Ollama", name, blobs / f"sha256-{digest}", digest)

    def _of_docker(self, root: Path) -> Iterator[Held]:
        for model in _list_of(self._json(root / "models.json"), "models"):
            tags, files = model.get("tags"), model.get("files")
            name = tags[0] if isinstance(tags, list) and tags else model.get("id", "")
            for digest in filter(None, map(_digest, files if isinstance(files, list) else [])):
                yield from self._held("Docker", str(name), root / "blobs" / "sha256" / digest, digest)

    def _of_jan(self, root: Path) -> Iterator[Held]:
        for path in self._below(root):
            if path.name == "model.yml":
                known = _JAN_DIGEST.search(self._text(path))
                name = str(path.parent.relative_to(root))
                yield from self._held("Jan", name, path.with_name("model.gguf"), known[1] if known else "")

    def _held(self, program: str, name: str, path: Path, digest: str) -> Iterator[Held]:
        try:
            info = os.stat(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._on_error(path, storage_error("look at", path, error))
            return
        if stat.S_ISREG(info.st_mode) and info.st_size >= (0 if program == "luci" else _LEAST):
            yield Held(program, name, path, info.st_size, digest, (info.st_dev, info.st_ino))

    def _entries(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._on_error(folder, storage_error("read", folder, error))
            return []

    def _below(self, folder: Path) -> Iterator[Path]:
        def failed(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._on_error(folder, storage_error("read", folder, error))

        seen = 0
        for where, inner, names in os.walk(folder, onerror=failed):
            inner.sort()
            yield from (Path(where, name) for name in sorted(names))
            seen += len(inner) + len(names)
            if seen > _MAX_NAMES:
                self._on_error(
                    folder, StorageError(f"{folder} has more than {_MAX_NAMES} names", "The rest is left out.")
                )
                return

    def _text(self, path: Path) -> str:
        try:
            with open(path, "rb") as file:
                return file.read(_MOST_NOTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._on_error(path, storage_error("read", path, error))
            return ""

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(self._text(path) or "null")
        except (ValueError, RecursionError):
            return None


def _digest(text: object) -> str:
    found = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found else ""


def _list_of(facts: Any, key: str) -> list[Mapping[str, Any]]:
    listed = facts.get(key) if isinstance(facts, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
