"""The manifest of a model in a registry: which layers are its files. Everything in it is checked before use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from luci_dl.errors import ResolveError
from luci_dl.frozen import frozen
from luci_dl.net.document import Document
from luci_dl.text import printable, shown

MANIFESTS = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
"""Media types of the manifest of one model."""
ACCEPTED = (
    *MANIFESTS,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types to ask for. The last two are lists of manifests, which Ollama's models never are."""
MAX_BYTES = 4 << 20
"""Size limit of a manifest, the one of registries themselves."""

_OLLAMA = "application/vnd.ollama.image."
_MODEL, _PROJECTOR, _ADAPTER, _TENSOR = (f"{_OLLAMA}{kind}" for kind in ("model", "projector", "adapter", "tensor"))
_SMALL = ("template", "params", "system", "license", "messages", "prompt")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MAX_SIZE = 1 << 50
_PERHAPS_ON_HUB = "Look for it on the Hub: luci install hf:OWNER/REPO:QUANT"


@frozen
class Layer:
    """One file: `sha256` in hex, `size` in bytes."""

    sha256: str
    size: int


@frozen
class Manifest:
    """The files of a model.

    Attributes:
        projector: None when there is none.
        has_adapter: it includes a LoRA, which changes the model's output.
        small: the other files that it names: template, parameters, licences, and the description of the whole.
    """

    model: Layer
    projector: Layer | None
    has_adapter: bool
    small: tuple[Layer, ...] = ()


def read_manifest(document: Document, what: str, with_projector: bool) -> Manifest:
    """Parse the registry's response about a model, which messages call `what`.

    Raises: ResolveError, for a manifest that is invalid or that luci cannot install; NetworkError, if it is not JSON.
    """
    answer = document.json()
    by_kind = _layers(answer, what, document.reason)
    models, projectors = by_kind.get(_MODEL, []), by_kind.get(_PROJECTOR, []) if with_projector else []
    if not models:
        raise _no_model(by_kind, what)
    if len(models) > 1:
        raise ResolveError(
            f"{what} is split into {len(models)} files, and its manifest does not say how they belong together",
            _PERHAPS_ON_HUB,
        )
    if len(projectors) > 1:
        raise ResolveError(
            f"{what} has {len(projectors)} projectors, but a model can use only one",
            "Leave them out with --no-projector.",
        )
    model = layer_of(models[0], what)
    projector = layer_of(projectors[0], what) if projectors else None
    if projector and projector.sha256 == model.sha256:
        raise ResolveError(
            f"{what} names one file both as its model and as its projector", "Leave it out with --no-projector."
        )
    return Manifest(model, projector, _ADAPTER in by_kind, tuple(_small(answer, by_kind, what)))


def _small(answer: Any, by_kind: Mapping[str, list[dict[str, object]]], what: str) -> Iterator[Layer]:
    """The files that belong to the model, but are not its bytes. One without a sound digest is left out."""
    small = [layer for kind, layers in by_kind.items() if kind.removeprefix(_OLLAMA) in _SMALL for layer in layers]
    config = answer.get("config")
    for facts in (*small, *([config] if isinstance(config, dict) else [])):
        with contextlib.suppress(ResolveError):
            yield layer_of(facts, what)


def _layers(answer: object, what: str, reason: str) -> dict[str, list[dict[str, object]]]:
    """The layers by media type, unchecked. `reason`: the registry's own explanation, if it gives one."""
    layers = answer.get("layers", "") if isinstance(answer, dict) else ""
    if isinstance(answer, dict) and isinstance(answer.get("manifests"), list):
        raise ResolveError(
            f"{what} is a list of images for several platforms, not a model", "Name the tag of one of its models."
        )
    if not isinstance(layers, list | None):
        raise ResolveError(
            f"{what}: expected a manifest with layers, found {_brief(answer)}{reason}", "Is this an Ollama registry?"
        )
    by_kind: dict[str, list[dict[str, object]]] = {}
    for layer in layers or ():
        kind = layer.get("mediaType") if isinstance(layer, dict) else None
        if not isinstance(kind, str):
            raise _invalid(what, f"a layer without mediaType: {_brief(layer)}")
        by_kind.setdefault(kind.partition(";")[0].strip(), []).append(layer)
    return by_kind


def layer_of(facts: Mapping[str, object], what: str) -> Layer:
    """Digest and size of a layer. Raises: ResolveError, when they are invalid."""
    digest, size = facts.get("digest"), facts.get("size")
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if not found:
        raise _invalid(what, f"the digest {_brief(digest)}, expected sha256: and 64 hex digits")
    if type(size) is not int or not 0 < size <= _MAX_SIZE:
        raise _invalid(what, f"the size {_brief(size)}, expected bytes")
    return Layer(found[1], size)


def _no_model(by_kind: dict[str, list[dict[str, object]]], what: str) -> ResolveError:
    if _TENSOR in by_kind:
        return ResolveError(f"{what} is stored as {len(by_kind[_TENSOR])} tensors, not as a GGUF file", _PERHAPS_ON_HUB)
    if all(kind.startswith("application/vnd.ollama.") for kind in by_kind):
        return ResolveError(f"{what} has no file to download: it runs only on Ollama's servers", _PERHAPS_ON_HUB)
    kinds = ", ".join(printable(kind)[:60] for kind in sorted(by_kind)[:3])
    return ResolveError(f"{what} is not an Ollama model; it holds {kinds}", "Check the name.")


def _invalid(what: str, found: str) -> ResolveError:
    return ResolveError(f"the manifest of {what} has {found}", "It is not safe to install; report it to the registry.")


def _brief(value: object) -> str:
    """The value for a message, without its contents if they can be deep and long."""
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else shown(value)
