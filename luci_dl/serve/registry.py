"""What registries of models say, kept: manifests byte for byte, small layers, and which layers a model has."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from luci_dl.errors import IntegrityError, LuciError, NetworkError, NotFound
from luci_dl.model import MANIFEST, MAX_COMPANION, Access
from luci_dl.net.document import Document
from luci_dl.net.origin import host_of
from luci_dl.serve.gate import Gated
from luci_dl.serve.kept import Kept
from luci_dl.serve.layers import SHA256, NamedLayer, Place, layers_of
from luci_dl.serve.pulls import NotAllowed
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.ollama.manifest import ACCEPTED, MAX_BYTES

FRESH_S = 60.0
"""A tag is not asked for again for so long, and a registry that gave no answer is not asked at all."""


class Registry:
    """Asks registries, and answers for them while they are away. Its calls block; any thread may call."""

    def __init__(self, upstream: ResolveContext, kept: Kept) -> None:
        self._upstream = upstream
        self._kept = kept
        self._asked: dict[str, float] = {}
        self._away: dict[str, tuple[float, NetworkError]] = {}
        self._lock = threading.Lock()

    def manifest(self, place: Place, check_allowed: Callable[[], None]) -> bytes:
        """What the registry says of the model, or what it said before if it is away or may not be asked.

        Args:
            check_allowed: raises NotAllowed, if it may not be asked.

        Raises: NotAllowed; NotFound; Gated; NetworkError; IntegrityError; StorageError.
        """
        url = f"{place.repository}/manifests/{place.name.tag}"
        key = f"{place.dialect} {url}"
        kept = self._kept.read(key)
        if kept and (place.is_pinned or time.monotonic() - self._asked.get(key, -FRESH_S) < FRESH_S):
            return kept
        try:
            check_allowed()
            body = self._manifest_at(url, place)
        except (NetworkError, NotAllowed):
            known = kept or self._installed(place)
            if not known:
                raise
            body = known
        else:
            self._asked[key] = time.monotonic()
        if body != kept:
            for each in (key, f"{place.dialect} {place.repository}/manifests/{_digest(body)}"):
                self._kept.write(each, body)
        return body

    def _manifest_at(self, url: str, place: Place) -> bytes:
        headers = {"Accept": ", ".join(ACCEPTED), **place.headers}
        document = self._ask(url, headers, place.repository, MAX_BYTES)
        if not document.is_success:
            raise _refusal(place.reference, document)
        if place.is_pinned and _digest(document.body) != place.name.tag:
            raise _wrong(place.name.tag, document)
        document.json()
        return document.body

    def _installed(self, place: Place) -> bytes | None:
        """The manifest that the model was installed by, whose small layers are kept from now on."""
        model = self._upstream.installed(place.reference)
        data = {name: base64.b64decode(text) for name, text in model.kept.items()} if model else {}
        for digest, layer in data.items():
            if digest == _digest(layer):
                self._kept.write(digest, layer)
        return data.get(MANIFEST)

    def remember(self, place: Place, manifest: bytes, access: Access) -> None:
        """Let the layers of the manifest be found by `layer`. Raises: StorageError."""
        found = layers_of(manifest, place, access)
        with self._lock:
            known = self._layers(place.path)
            new = {**known, **{layer.sha256: asdict(layer) for layer in found}}
            if new != known:
                self._kept.write(place.path, json.dumps(new).encode())

    def layer(self, path: str, sha256: str) -> NamedLayer | None:
        """The layer with that digest, if a manifest of NAMESPACE/MODEL names it."""
        facts = self._layers(path).get(sha256)
        return NamedLayer(**facts) if facts else None

    def _layers(self, path: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self._kept.read(path) or b"{}")
        return found

    def small(self, layer: NamedLayer, headers: Mapping[str, str], check_allowed: Callable[[], None]) -> bytes:
        """The bytes of a layer of MAX_COMPANION at most. Raises: as `manifest`."""
        digest = f"{SHA256}{layer.sha256}"
        if kept := self._kept.read(digest):
            return kept
        check_allowed()
        document = self._ask(layer.url, headers, layer.repository, MAX_COMPANION)
        if not document.is_success:
            raise _refusal(layer.reference, document)
        if _digest(document.body) != digest:
            raise _wrong(digest, document)
        self._kept.write(digest, document.body)
        return document.body

    def _ask(self, url: str, headers: Mapping[str, str], repository: str, at_most: int) -> Document:
        host = host_of(url)
        until, error = self._away.get(host, (0.0, NetworkError("")))
        if time.monotonic() < until:
            raise NetworkError(error.message, error.hint)
        try:
            return self._upstream.document(url, headers, repository=repository, at_most=at_most)
        except NetworkError as error:
            self._away[host] = (time.monotonic() + FRESH_S, error)
            raise


def _digest(data: bytes) -> str:
    return f"{SHA256}{hashlib.sha256(data).hexdigest()}"


def _wrong(digest: str, document: Document) -> IntegrityError:
    found = _digest(document.body)
    return IntegrityError(f"{document.url}: expected {digest}, found {found}", "The registry is damaged; try later.")


def _refusal(what: str, document: Document) -> LuciError:
    """The error for a response without what was asked for."""
    host, status, reason = host_of(document.url), document.status, document.reason
    if status == 404:
        return NotFound(f"{what}: {host} has no such model, tag or layer", "Check the name; a tag follows a colon.")
    if status in (401, 403):
        return Gated(f"{what}: {host} requires an account ({status}{reason})", "Check the name.")
    return NetworkError(f"{what}: {host} answered {status}{reason}", "Try again later.")
