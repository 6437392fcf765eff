"""Ollama's models: a manifest, and blobs named by their digests. Source: Ollama's `manifest` and `server` packages."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from luci_dl.environment import variable
from luci_dl.errors import IntegrityError, ResolveError, StorageError
from luci_dl.library import runners
from luci_dl.library.installed import InstalledModel
from luci_dl.library.links import ollama_manifest, ollama_names, ollama_paths
from luci_dl.library.links.base import Draft, Question, file_entry
from luci_dl.library.links.entries import Entry
from luci_dl.library.links.ollama_service import unreadable
from luci_dl.model import MANIFEST
from luci_dl.sources.ollama.manifest import MAX_BYTES
from luci_dl.sources.ollama.name import Name, is_name
from luci_dl.text import printable

NAME = "ollama"
NEEDS_HUB = False
_BLOB = re.compile(rb"sha256[:-]([0-9a-f]{64})", re.I)


def place() -> Path:
    """As `base.Target`: the folder that OLLAMA_MODELS names, else the first of Ollama's that is there."""
    roots = runners.ollama(os.environ)
    if variable(os.environ, "OLLAMA_MODELS"):
        roots = roots[:1]
    there = [root for root in roots if os.path.isdir(root)] or [root for root in roots if os.path.isdir(root.parent)]
    if there:
        return there[0]
    raise StorageError(
        f"Ollama is not there: none of {', '.join(map(str, roots))} exists",
        "Install Ollama and run it once, or name its folder in OLLAMA_MODELS.",
    )


def draft(question: Question, root: Path) -> Draft:
    """As `base.Target`. Ollama sees the model at once, without a restart."""
    model, name = question.model, ollama_names.name_of(question)
    manifest, small, notes = _manifest(question)
    paths = ollama_paths.manifest_paths(root, name)
    _refuse_hidden(paths, manifest, name)
    files = {f"sha256:{file.receipt.sha256}": file for file in model.files}
    small_blobs, large_blobs = list[Entry](), list[Entry]()
    for digest, kind in ollama_manifest.layers(manifest, name).items():
        blob = root / "blobs" / digest.replace(":", "-")
        if digest in files:
            large_blobs.append(file_entry(files[digest], blob, named_by_digest=True, scratch=root))
        elif digest in small:
            small_blobs.append(Entry("text", blob, content=small[digest], scratch=root))
        else:
            raise ResolveError(
                f"{printable(question.name)} cannot be linked to ollama: its manifest names a file that luci did not "
                f"install ({printable(kind)})",
                f"Install it with all its files: luci install {printable(question.name)}; or let Ollama fetch it: "
                f"ollama pull {ollama_paths.shown(name)}",
            )
    # Ollama removes blobs that are old and in no manifest, so the large ones, which are old, come just before it
    entries = (*small_blobs, *large_blobs, Entry("text", paths.own, content=manifest, scratch=root))
    shown = ollama_paths.shown(name)
    return Draft(root, shown, entries, (*notes, *unreadable(question, root)), f"ollama run {shown}")


def _manifest(question: Question) -> tuple[bytes, Mapping[str, bytes], Sequence[str]]:
    """The manifest, the small files that it may name, and what the user should know. Raises: as `draft`."""
    kept = dict(_kept(question.model))
    if manifest := kept.pop(MANIFEST, None):
        return manifest, kept, ()
    manifest, small, notes = ollama_manifest.make(question.model)
    if not is_name(question.name):
        return manifest, small, notes
    lost = f"its template and parameters were not kept; with them: luci install {printable(question.name)}, then link"
    return manifest, small, (*notes, lost)


def _refuse_hidden(paths: ollama_paths.ManifestPaths, manifest: bytes, name: Name) -> None:
    """Raises: IntegrityError, when Ollama has another model of that name, which hides luci's."""
    if os.path.lexists(paths.newer) and (not os.path.isfile(paths.newer) or paths.newer.read_bytes() != manifest):
        raise IntegrityError(
            f"Ollama has a model {ollama_paths.shown(name)} already: {paths.newer}",
            f"Link under another name with --as, or remove it: ollama rm {ollama_paths.shown(name)}",
        )


def used_elsewhere(root: Path, entries: Sequence[Entry]) -> set[Path]:
    """The blobs that manifests other than those of these entries name; all, where one of these cannot be read."""
    own = {entry.path for entry in entries}
    todo, found = [path for path in _manifests(root) if path not in own], set[Path]()
    while todo:
        try:
            data = runners.read_note(todo.pop())
        except FileNotFoundError:
            continue
        except OSError:
            return own
        named = {root / "blobs" / f"sha256-{digest.decode().lower()}" for digest in _BLOB.findall(data)} - found
        todo += filter(_may_be_manifest, named)  # a list of manifests names them by their digests
        found |= named
    return found


def _manifests(root: Path) -> Iterator[Path]:
    for folder in ollama_paths.FOLDERS:
        for where, _folders, names in os.walk(root / folder):
            yield from (Path(where, name) for name in names)


def _may_be_manifest(blob: Path) -> bool:
    try:
        return os.stat(blob).st_size <= MAX_BYTES
    except OSError:
        return False


def _kept(model: InstalledModel) -> Mapping[str, bytes]:
    """The small files that came with the model, and are as they came."""
    kept = {key: data for file in model.files for key, data in file.receipt.kept.items()}
    try:
        found = {key: base64.b64decode(data, validate=True) for key, data in kept.items()}
    except ValueError:
        return {}
    return {key: data for key, data in found.items() if key in (MANIFEST, f"sha256:{hashlib.sha256(data).hexdigest()}")}
