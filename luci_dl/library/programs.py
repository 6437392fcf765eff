"""What files the other programs on this machine hold: by names, manifests and notes. Reads no contents of models."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from luci_dl.disk.layout import OnError, is_staging_folder
from luci_dl.disk.same_folder import distinct
from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.library import runners

MAX_NAMES = 100_000
"""How many names below a folder are considered."""
_DIGEST = re.compile(r"(?:sha256[:-])?([0-9a-f]{64})|([0-9a-f]{40})")
_JAN_DIGEST = re.compile(r"^model_sha256:\s*['\"]?([0-9a-f]{64})\b", re.MULTILINE)
_REPOSITORIES = ("models", "datasets", "spaces")
_MODELS = (".gguf", ".safetensors", ".bin")
_MODEL_LAYER = ("application/vnd.ollama.image.model", "application/vnd.ollama.image.projector")
_WHERE = {
    "Hugging Face": "the Hugging Face cache",
    "Ollama": "Ollama's models",
    "Docker": "Docker's models",
    "llama.cpp": "the cache of llama.cpp",
}


T = TypeVar("T")


@frozen
class ProgramFile:
    """A name that a program has for a file, which may not be there.

    Attributes:
        name: what the program calls it; empty if no model of the program has it.
        digest: the SHA-256 or git blob SHA-1 that the program says it has; empty if it says none.
    """

    program: str
    name: str
    path: Path
    digest: str

    @property
    def where(self) -> str:
        """The place in words."""
        return _WHERE.get(self.program, self.program)


def program_files(environ: Mapping[str, str], on_error: OnError) -> Iterator[ProgramFile]:
    """All that programs hold, one after the other. What cannot be read is passed to `on_error`."""
    reader = _Reader(on_error)
    for cache in distinct((runners.hub_cache(environ), *runners.llama_caches(environ))):
        yield from reader.cache(cache)
    for root in distinct(runners.ollama(environ)):
        yield from reader.ollama(root)
    yield from reader.docker(runners.docker(environ))
    yield from reader.jan(runners.jan())
    for program, root in (("LM Studio", runners.lm_studio()), ("GPT4All", runners.gpt4all())):
        yield from reader.loose(program, root)


def below(top: Path, on_error: OnError) -> Iterator[Path]:
    """The files below the folder, up to `MAX_NAMES`, except those that luci keeps for itself."""

    def failed(error: OSError) -> None:
        _report(Path(error.filename or top), error, on_error)

    seen = 0
    for where, folders, names in os.walk(top, onerror=failed):
        folders[:] = sorted(name for name in folders if not is_staging_folder(name))
        yield from (Path(where, name) for name in sorted(names))
        seen += len(folders) + len(names)
        if seen > MAX_NAMES:
            on_error(top, StorageError(f"{top} has more than {MAX_NAMES} names; the rest was not searched"))
            return


def digest_in(text: object) -> str:
    """The digest that the text is: a name, or what a manifest says; else empty."""
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    return (match[1] or match[2]) if match else ""


class _Reader:
    """Reads the folders of programs: one function for each layout."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error

    def cache(self, root: Path) -> Iterator[ProgramFile]:
        """Repositories, and the files of llama.cpp until 2026, OWNER_REPO_FILE.gguf; the tags beside these vary."""
        for path in self._entries(root):
            kind, _, name = path.name.partition("--")
            if kind in _REPOSITORIES and name:
                yield from self._repository(path, name if kind == "models" else "")
            elif path.suffix == ".gguf":
                yield ProgramFile("llama.cpp", path.name, path, "")

    def ollama(self, root: Path) -> Iterator[ProgramFile]:
        """The models of all manifests, then the blobs."""
        if not self._entries(root):
            return
        from luci_dl.library.links.ollama_paths import FOLDERS, HOST_IN_NEWER, shown  # most machines have no Ollama
        from luci_dl.sources.ollama.name import DEFAULT_HOST, Name

        for manifests in (root / folder for folder in FOLDERS):
            for path in below(manifests, self._on_error):
                parts = path.relative_to(manifests).parts
                if len(parts) == 4:
                    host = DEFAULT_HOST if parts[0] == HOST_IN_NEWER else parts[0]
                    yield from self._of_manifest(path, shown(Name(host, *parts[1:])), root / "blobs")
        yield from self._blobs("Ollama", root / "blobs")

    def docker(self, root: Path) -> Iterator[ProgramFile]:
        """The files of the models in its list, then the blobs."""
        blobs = root / "blobs" / "sha256"
        for model in _list_of(self._json(root / "models.json"), "models"):
            tags, files = model.get("tags"), model.get("files")
            name = tags[0] if isinstance(tags, list) and tags else model.get("id", "")
            for digest in filter(None, map(digest_in, files if isinstance(files, list) else [])):
                yield ProgramFile("Docker", str(name), blobs / digest, digest)
        yield from self._blobs("Docker", blobs)

    def jan(self, root: Path) -> Iterator[ProgramFile]:
        """Jan's models are all called model.gguf; the note beside each says what it is."""
        for path in below(root, self._on_error):
            if path.name == "model.yml":
                known = _JAN_DIGEST.search(self._text(path))
                name = str(path.parent.relative_to(root))
                yield ProgramFile("Jan", name, path.with_name("model.gguf"), known[1] if known else "")

    def loose(self, program: str, root: Path) -> Iterator[ProgramFile]:
        """Files whose names say nothing about their bytes."""
        for path in below(root, self._on_error):
            if path.suffix in _MODELS:
                yield ProgramFile(program, str(path.relative_to(root)), path, "")

    def _repository(self, repo: Path, name: str) -> Iterator[ProgramFile]:
        """The names in the snapshots, then the blobs, which are named by SHA-256, or by git blob SHA-1 without LFS."""
        snapshots = repo / "snapshots"
        for path in below(snapshots, self._on_error) if name else ():
            inner = "/".join(path.relative_to(snapshots).parts[1:])
            yield ProgramFile("Hugging Face", f"{name.replace('--', '/', 1)}/{inner}", path, _pointed(path))
        yield from self._blobs("Hugging Face", repo / "blobs")

    def _of_manifest(self, path: Path, name: str, blobs: Path) -> Iterator[ProgramFile]:
        for layer in _list_of(self._json(path), "layers"):
            digest = digest_in(layer.get("digest"))
            if digest and layer.get("mediaType") in _MODEL_LAYER:
                yield ProgramFile("Ollama", name, blobs / f"sha256-{digest}", digest)

    def _blobs(self, program: str, folder: Path) -> Iterator[ProgramFile]:
        for path in self._entries(folder):
            if digest := digest_in(path.name):
                yield ProgramFile(program, "", path, digest)

    def _entries(self, folder: Path) -> list[Path]:
        return self._read(folder, lambda: [folder / name for name in sorted(os.listdir(folder))], [])

    def _text(self, path: Path) -> str:
        return self._read(path, lambda: runners.read_note(path).decode(errors="replace"), "")

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(self._text(path) or "null")
        except (ValueError, RecursionError):
            return None

    def _read(self, path: Path, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except OSError as error:
            _report(path, error, self._on_error)
            return otherwise


def _report(path: Path, error: OSError, on_error: OnError) -> None:
    """Pass it on, unless nothing is there, or no longer."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        on_error(path, storage_error("read", path, error))


def _pointed(path: Path) -> str:
    """The digest in the name of what a symlink leads to; a client may lead to the blob over a second one."""
    try:
        return digest_in(os.path.basename(os.readlink(path))) or digest_in(os.path.basename(os.path.realpath(path)))
    except OSError:  # no symlink, or gone
        return ""


def _list_of(facts: Any, key: str) -> list[Mapping[str, Any]]:
    listed = facts.get(key) if isinstance(facts, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
