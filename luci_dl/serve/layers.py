"""A model in a registry, and its layers: what a manifest says of them, as far as it is sound."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import PurePosixPath
from typing import Any

from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.model import Access, Artifact
from luci_dl.names import check_name
from luci_dl.sources.ollama.manifest import ACCEPTED, layer_of
from luci_dl.sources.ollama.name import Name

SHA256 = "sha256:"
"""How digests begin."""
_KIND = re.compile(r"[a-z0-9]{1,32}")
_MODEL, _PROJECTOR = "model", "projector"


@frozen
class Place:
    """A model in a registry upstream.

    Attributes:
        name: its tag, or its digest in place of one.
        repository: the prefix of all its addresses there.
        headers: that the registry is asked with: the Hub answers llama.cpp in another way than Ollama.
        token: that of the client, for the Hub.
    """

    name: Name
    repository: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    @property
    def path(self) -> str:
        """NAMESPACE/MODEL."""
        return f"{self.name.namespace}/{self.name.model}"

    @property
    def url(self) -> str:
        """Where its manifest is."""
        return f"{self.repository}/manifests/{self.name.tag}"

    @property
    def key(self) -> str:
        """The same for requests that get the same manifest."""
        return f"{self.url} {self.headers}"

    @property
    def digest(self) -> str:
        """Of the manifest, if the model is named by it; else empty."""
        return self.name.tag if self.name.tag.startswith(SHA256) else ""

    @property
    def reference(self) -> str:
        """What luci calls the model."""
        return self.repository if self.digest else str(self.name)


@frozen
class NamedLayer:
    """A layer that a manifest names.

    Attributes:
        file: a name for its file.
        role: as of `Artifact`.
        reference: of the model.
        repository: the prefix of its addresses at the registry.
    """

    sha256: str
    size: int
    file: str
    role: str
    reference: str
    repository: str
    access: Access

    @property
    def digest(self) -> str:
        """As registries write it."""
        return f"{SHA256}{self.sha256}"

    @property
    def url(self) -> str:
        """Where it is at the registry."""
        return f"{self.repository}/blobs/{self.digest}"

    @property
    def artifact(self) -> Artifact:
        """To fetch it."""
        return Artifact(
            self.file,
            (self.url,),
            self.size,
            self.sha256,
            repository=self.repository,
            role=self.role,
            access=self.access,
        )


def layers_of(manifest: bytes, place: Place, access: Access) -> list[NamedLayer]:
    """All that have a sound digest and size, the configuration among them."""
    found = []
    for facts in _layers(_parsed(manifest)):
        with suppress(LuciError):
            layer = layer_of(facts, place.reference)
            kind = str(facts.get("mediaType")).rpartition(".")[2]
            role = kind if kind in (_MODEL, _PROJECTOR) else "companion"
            file = _file(place.name, kind)
            found.append(NamedLayer(layer.sha256, layer.size, file, role, place.reference, place.repository, access))
    return found


def _file(name: Name, kind: str) -> str:
    """The last part of where luci installs it; what luci never installs ends in its kind."""
    tagged = replace(name, tag=name.tag.replace(":", "-"))
    model, projector = (PurePosixPath(target).name for target in tagged.targets)
    other = f"{PurePosixPath(model).stem}.{kind if _KIND.fullmatch(kind) else 'layer'}"
    return check_name({_MODEL: model, _PROJECTOR: projector}.get(kind, other))


def media_type(manifest: bytes) -> str:
    """What it says that it is."""
    kind = _parsed(manifest).get("mediaType")
    return kind if kind in ACCEPTED else ACCEPTED[0]


def _layers(facts: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    layers = facts.get("layers")
    for each in (*(layers if isinstance(layers, list) else ()), facts.get("config")):
        if isinstance(each, dict):
            yield each


def _parsed(manifest: bytes) -> Mapping[str, Any]:
    """Of JSON."""
    facts = json.loads(manifest)
    return facts if isinstance(facts, dict) else {}
