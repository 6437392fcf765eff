"""What registries say of models: manifests byte for byte, small layers, and which layers a model has."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from luci_dl.errors import IntegrityError, LuciError, NetworkError
from luci_dl.model import MANIFEST, MAX_COMPANION, Access
from luci_dl.net.document import Document
from luci_dl.net.origin import host_of
from luci_dl.serve.answers import FOREVER, Answers, Ask, Refused
from luci_dl.serve.kept import Kept
from luci_dl.serve.layers import SHA256, NamedLayer, Place, layers_of
from luci_dl.serve.pulls import NotAllowed
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.ollama.manifest import ACCEPTED, MAX_BYTES

LIMIT = 256 << 20
"""Bytes of all that is kept on disk."""
_PASSED_ON = ("content-type", "x-error-code", "x-error-message")
HOLD_S = 60.0
"""How long the registry's word holds on what a tag is now."""


class Registry:
    """Asks registries, or uses what they said before. In the event loop's thread only.

    Every method raises NotAllowed, if the registry must not be asked and nothing is known; Refused, with the registry's
    own refusal; and LuciError, when it gives no answer and none is known.

    Args:
        check_allowed: raises NotAllowed for a NAMESPACE/MODEL.
    """

    def __init__(
        self, folder: Path, upstream: ResolveContext, ask_in_thread: Ask, check_allowed: Callable[[str], None]
    ) -> None:
        self._kept = Kept(folder, LIMIT)
        self._upstream = upstream
        self._ask_in_thread = ask_in_thread
        self._check_allowed = check_allowed
        self._answers: dict[str, Answers] = {}
        self._lock = threading.Lock()

    async def manifest(self, place: Place) -> bytes:
        """What its registry says of the model; for who needs a token for it, with the token."""
        try:
            return await self._manifest(place, {})
        except Refused:
            if not place.token:
                raise
        except (NetworkError, NotAllowed):
            if known := await asyncio.to_thread(self._installed, place):
                return known
            raise
        return await self._manifest(place, {"Authorization": f"Bearer {place.token}"})

    async def _manifest(self, place: Place, given: Mapping[str, str]) -> bytes:
        headers = {"Accept": ", ".join(ACCEPTED), **place.headers, **given}

        def fetch() -> bytes:
            document = self._asked(place.url, headers, place.repository, MAX_BYTES)
            document.json()
            return document.body

        key, hold = "".join((place.key, *given.values())), FOREVER if place.digest else HOLD_S
        return await self._of(place.repository).get(key, fetch, partial(_checked, place.digest), hold, keep=not given)

    async def small(self, layer: NamedLayer, headers: Mapping[str, str]) -> bytes:
        """The bytes of a layer of MAX_COMPANION at most, for who may have it."""

        def fetch() -> bytes:
            return self._asked(layer.url, headers, layer.repository, MAX_COMPANION).body

        return await self._of(layer.repository).get(layer.digest, fetch, partial(_checked, layer.digest), FOREVER)

    def _of(self, repository: str) -> Answers:
        """What its server answered."""
        return self._answers.setdefault(host_of(repository), Answers(self._kept, self._ask_in_thread))

    def _asked(self, url: str, headers: Mapping[str, str], repository: str, at_most: int) -> Document:
        self._check_allowed(repository.rpartition("/v2/")[2])
        document = self._upstream.document(url, headers, repository=repository, at_most=at_most)
        if not document.is_success:
            raise _refusal(url, document)
        return document

    def _installed(self, place: Place) -> bytes | None:
        """The manifest that luci installed the model by, which is kept from now on, with its small layers."""
        model = self._upstream.installed(place.reference)
        data = {name: base64.b64decode(text) for name, text in model.kept.items()} if model else {}
        for digest, layer in data.items():
            if digest == digest_of(layer):
                self._kept.write(digest, layer)
        if manifest := data.get(MANIFEST):
            self._kept.write(place.key, manifest)
        return manifest

    def remember(self, place: Place, manifest: bytes, access: Access) -> None:
        """Let the layers of the manifest be found by `layer`. It blocks; any thread may call. Raises: StorageError."""
        found = {layer.sha256: asdict(layer) for layer in layers_of(manifest, place, access)}
        with self._lock:
            known = self._layers(place.path)
            if (new := {**known, **found}) != known:
                self._kept.write(place.path, json.dumps(new).encode())

    def layer(self, path: str, sha256: str) -> NamedLayer | None:
        """The layer with that digest, if a manifest of NAMESPACE/MODEL names it. It blocks; any thread may call."""
        facts = self._layers(path).get(sha256)
        return NamedLayer(**facts) if facts else None

    def _layers(self, path: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self._kept.read(path) or b"{}")
        return found


def digest_of(data: bytes) -> str:
    """As registries write it."""
    return f"{SHA256}{hashlib.sha256(data).hexdigest()}"


def _checked(digest: str, data: bytes) -> bytes:
    """The bytes, if they have that digest, or need none. Raises: IntegrityError."""
    if digest not in ("", found := digest_of(data)):
        raise IntegrityError(f"the registry sent {found} in place of {digest}", "Try again later.")
    return data


def _refusal(url: str, document: Document) -> LuciError:
    """The error for a response without what was asked for."""
    found = f"{url} returned {document.status}{document.reason}"
    if 400 <= document.status < 500:
        headers = {name: document.headers[name] for name in _PASSED_ON if name in document.headers}
        return Refused(found, document.status, headers, document.body)
    return NetworkError(found, "Try again later.")
