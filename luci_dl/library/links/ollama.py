"""Ollama's models: a manifest, and blobs named by their digests. Source: Ollama's `manifest` and `server` packages."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from luci_dl.errors import ResolveError, StorageError, UsageError
from luci_dl.library import runners
from luci_dl.library.installed import InstalledModel
from luci_dl.library.links import ollama_manifest
from luci_dl.library.links.base import Draft, Question, file_entry
from luci_dl.library.links.entries import Entry
from luci_dl.library.links.folders import plain_name
from luci_dl.sources.ollama.name import DEFAULT_HOST, DEFAULT_NAMESPACE, Name, is_name, parse_name
from luci_dl.text import printable

NAME = "ollama"
NEEDS_HUB = False
_HUB = "hf.co"


def place() -> Path:
    """As `base.Target`: the first of Ollama's folders that is there."""
    roots = runners.ollama(os.environ)
    for root in roots:
        if root.is_dir() or root.parent.is_dir():
            return root
    raise StorageError(
        f"Ollama is not there: none of {', '.join(map(str, roots))} exists",
        "Install Ollama and run it once, or name its folder in OLLAMA_MODELS.",
    )


def draft(question: Question, root: Path) -> Draft:
    """As `base.Target`. Ollama sees the model at once, without a restart."""
    model, name = question.model, _name(question)
    kept = _kept(model)
    notes: list[str] = []
    if "manifest" in kept and is_name(question.name):
        manifest, small = kept["manifest"], {digest: data for digest, data in kept.items() if digest != "manifest"}
    else:
        manifest, small, notes = ollama_manifest.make(model)
    files = {f"sha256:{file.receipt.sha256}": file for file in model.files}
    entries: list[Entry] = []
    for digest in ollama_manifest.digests(manifest, name):
        blob = root / "blobs" / digest.replace(":", "-")
        if digest in files:
            entries.append(file_entry(files[digest], blob, named_by_digest=True, scratch=root))
        elif digest in small:
            entries.append(Entry("text", blob, content=small[digest], scratch=root))
        else:
            raise ResolveError(
                f"{printable(question.name)} cannot be linked to ollama: its manifest names {digest[:19]}..., which "
                "luci did not install (an adapter, a large licence, or a projector)",
                f"Let Ollama fetch it: ollama pull {name}",
            )
    path = root / "manifests" / name.host / name.namespace / name.model / name.tag
    entries.append(Entry("text", path, content=manifest))
    shown = _shown(name)
    return Draft(root, shown, tuple(entries), tuple(notes), f"ollama run {shown}")


def used_elsewhere(root: Path, entries: Sequence[Entry]) -> set[Path]:
    """The blobs that manifests other than those of these entries name."""
    own = {entry.path for entry in entries}
    found: set[Path] = set()
    for path in _manifests(root):
        if path not in own:
            try:
                digests = ollama_manifest.digests(path.read_bytes(), None)
            except (OSError, ResolveError):
                continue
            found.update(root / "blobs" / digest.replace(":", "-") for digest in digests)
    return found


def _manifests(root: Path) -> Iterator[Path]:
    for where, _folders, names in os.walk(root / "manifests"):
        yield from (Path(where, name) for name in names)


def _name(question: Question) -> Name:
    """What Ollama calls the model. Raises: UsageError, for a name that it does not take."""
    if question.given:
        return _parsed(question.given)
    if is_name(question.name):
        return parse_name(question.name)
    place = (question.hub or {}).get(question.model.to_load.receipt.name)
    if place:
        header = ollama_manifest.header_of(question.model.to_load.path)
        return _parsed(f"{_HUB}/{place.repo}:{header.file_type or 'latest'}")
    return _parsed(f"{plain_name(question.name)}:latest")


def _parsed(text: str) -> Name:
    try:
        return parse_name(f"ollama:{text}")
    except ResolveError as error:
        raise UsageError(f"--as: {error.message}", error.hint) from error


def _shown(name: Name) -> str:
    host = "" if name.host == DEFAULT_HOST else f"{name.host}/"
    namespace = "" if not host and name.namespace == DEFAULT_NAMESPACE else f"{name.namespace}/"
    return f"{host}{namespace}{name.model}:{name.tag}"


def _kept(model: InstalledModel) -> Mapping[str, bytes]:
    """The small files that came with the model."""
    kept = {key: data for file in model.files for key, data in file.receipt.kept.items()}
    try:
        return {key: base64.b64decode(data, validate=True) for key, data in kept.items()}
    except ValueError:
        return {}
