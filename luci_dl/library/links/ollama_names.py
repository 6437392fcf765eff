"""What Ollama calls a model, and where it keeps the manifest of that name. Source: its `types/model` and `manifest`."""

from __future__ import annotations

from pathlib import Path

from luci_dl.errors import ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.library.links.base import Question
from luci_dl.library.links.folders import plain_name
from luci_dl.library.links.ollama_manifest import header_of
from luci_dl.sources.huggingface.quants import label_of
from luci_dl.sources.ollama.name import DEFAULT_HOST, DEFAULT_NAMESPACE, Name, is_name, parse_name

FOLDERS = ("manifests", "manifests-v2")
"""Of manifests, below Ollama's folder. Since 2026 it looks in the second one first, and writes there."""
HOST_IN_NEWER = "ollama.com"
"""What the newer folder calls Ollama's own registry."""
_HUB = "hf.co"
_LONGEST = 80


@frozen
class ManifestPaths:
    """Where a manifest may be: `own` is read by every version of Ollama, unless there is something at `newer`."""

    own: Path
    newer: Path


def manifest_paths(root: Path, name: Name) -> ManifestPaths:
    """Those of a model, below Ollama's folder."""
    own, newer = (root / folder for folder in FOLDERS)
    host = HOST_IN_NEWER if name.host == DEFAULT_HOST else name.host
    rest = Path(name.namespace, name.model, name.tag)
    return ManifestPaths(own / name.host / rest, newer / host / rest)


def name_of(question: Question) -> Name:
    """What Ollama calls the model. Raises: UsageError, for a name that it does not take; ResolveError; StorageError."""
    try:
        name = parse_name(_reference(question))
    except ResolveError as error:
        raise UsageError(f"--as: {error.message}" if question.given else error.message, error.hint) from error
    if "." in name.namespace or max(map(len, (name.namespace, name.model, name.tag))) > _LONGEST:
        raise UsageError(
            f"Ollama takes no name like {shown(name)}",
            f"Each part has at most {_LONGEST} characters, and the first of two no dot. Choose another: --as NAME:TAG",
        )
    return name


def _reference(question: Question) -> str:
    if question.given:
        return f"ollama:{question.given}"
    if is_name(question.name):
        return question.name
    first = question.model.to_load
    if place := (question.hub or {}).get(first.receipt.name):
        tag = label_of(place.path).upper() or header_of(first.path).file_type or "latest"
        return f"ollama:{_HUB}/{place.repo}:{tag}"
    return f"ollama:{plain_name(question.name)}:latest"


def shown(name: Name) -> str:
    """As Ollama shows it."""
    host = "" if name.host == DEFAULT_HOST else f"{name.host}/"
    namespace = "" if not host and name.namespace == DEFAULT_NAMESPACE else f"{name.namespace}/"
    return f"{host}{namespace}{name.model}:{name.tag}"
