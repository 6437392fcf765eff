"""Where Ollama keeps the manifest of a name, and how it shows the name. Source: its `types/model` and `manifest`."""

from __future__ import annotations

from pathlib import Path

from luci_dl.frozen import frozen
from luci_dl.sources.ollama.name import DEFAULT_HOST, DEFAULT_NAMESPACE, Name

FOLDERS = ("manifests", "manifests-v2")
"""Of manifests, below Ollama's folder. Since 2026 it looks in the second one first, and writes there."""
HOST_IN_NEWER = "ollama.com"
"""What the newer folder calls Ollama's own registry."""


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


def shown(name: Name) -> str:
    """As Ollama shows it."""
    host = "" if name.host == DEFAULT_HOST else f"{name.host}/"
    namespace = "" if not host and name.namespace == DEFAULT_NAMESPACE else f"{name.namespace}/"
    return f"{host}{namespace}{name.model}:{name.tag}"
