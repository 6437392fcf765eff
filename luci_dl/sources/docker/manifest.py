"""The manifest of a model artifact: which layers are its files. Everything in it is checked before use.

Source: Docker's model-distribution, and the CNCF's ModelPack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luci_dl.errors import ResolveError
from luci_dl.frozen import frozen
from luci_dl.net.document import Document
from luci_dl.sources.ollama.manifest import Layer, layer_of
from luci_dl.text import printable, shown

_AI = "application/vnd.docker.ai."
_GGUF, _PROJECTOR = f"{_AI}gguf.v3", f"{_AI}mmproj"
_WEIGHTS = (_GGUF, f"{_AI}safetensors", "application/vnd.cncf.model.weight.v1.raw")
_BESIDE = (f"{_AI}license", f"{_AI}chat.template.jinja")
_CONTAINER = ("application/vnd.docker.image.rootfs.", "application/vnd.oci.image.layer.")
_PATH = "org.cncf.model.filepath"


@frozen
class File:
    """One file: its path in the artifact, which may be empty, is not checked yet."""

    layer: Layer
    path: str
    role: str
    is_gguf: bool


def read_manifest(document: Document, what: str, with_projector: bool) -> list[File]:
    """The files of the artifact that messages call `what`, in order, the projector last.

    Raises: ResolveError, for a manifest that is invalid, of a newer format, or not of a model; NetworkError, if it is
        not JSON.
    """
    answer = document.json()
    if not isinstance(answer, dict) or not isinstance(layers := answer.get("layers", []), list):
        raise ResolveError(f"{what}: expected a manifest with layers{document.reason}", "Is this a registry of models?")
    if isinstance(answer.get("manifests"), list):
        raise ResolveError(
            f"{what} is an index where the manifest of a model is expected", "Report it to its publisher."
        )
    if answer.get("schemaVersion") != 2:
        raise ResolveError(
            f"the manifest of {what} has format {shown(answer.get('schemaVersion'))}, this luci knows format 2",
            "Update luci.",
        )
    listed = [layer for layer in layers if isinstance(layer, dict)]
    files = [_file(layer, what) for layer in listed if _is_file(layer)]
    weights = [file for file in files if file.role == "model"]
    if not weights:
        raise _no_model(listed, what)
    projectors = [file for file in files if file.role == "projector"] if with_projector else []
    if len(projectors) > 1:
        raise ResolveError(
            f"{what} has {len(projectors)} projectors, but a model can use only one",
            "Leave them out with --no-projector.",
        )
    return [*weights, *projectors]


def _kind(layer: Mapping[str, Any]) -> str:
    kind = layer.get("mediaType")
    return kind.partition(";")[0].strip() if isinstance(kind, str) else ""


def _path(layer: Mapping[str, Any]) -> str:
    annotations = layer.get("annotations")
    path = annotations.get(_PATH) if isinstance(annotations, dict) else None
    return path if isinstance(path, str) else ""


def _is_file(layer: Mapping[str, Any]) -> bool:
    """Weights and projectors; other layers that say where they belong, too."""
    kind = _kind(layer)
    is_container = kind.startswith(_CONTAINER)
    return kind in (*_WEIGHTS, _PROJECTOR) or bool(_path(layer) and kind not in _BESIDE and not is_container)


def _file(layer: Mapping[str, Any], what: str) -> File:
    kind, path = _kind(layer), _path(layer)
    role = "projector" if kind == _PROJECTOR or path.rpartition("/")[2].startswith("mmproj") else "model"
    return File(layer_of(layer, what), path, role, kind == _GGUF or path.casefold().endswith(".gguf"))


def _no_model(layers: list[dict[str, Any]], what: str) -> ResolveError:
    kinds = sorted({_kind(layer) for layer in layers})
    if any(kind.startswith(_CONTAINER) for kind in kinds):
        return ResolveError(f"{what} is a container image, not a model", "Fetch it with: docker pull")
    held = ", ".join(printable(kind)[:60] for kind in kinds[:3]) or "no layers"
    return ResolveError(f"{what} has no model that luci can install; it holds {held}", "Check the name and the tag.")
