"""A registry of models on the loopback: tokens from a second host, blobs behind signed addresses on a third."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.servers.faults import Fault, ok
from tests.servers.honest import Answer, File, Request
from tests.servers.server import FaultyServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MODEL, PROJECTOR, TEMPLATE, ADAPTER = (
    f"application/vnd.ollama.image.{kind}" for kind in ("model", "projector", "template", "adapter")
)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


def manifest(layers: Sequence[Mapping[str, object]], **more: object) -> bytes:
    """A manifest as Ollama pushes it; `more` goes over its keys."""
    config = layer("application/vnd.docker.container.image.v1+json", b"{}")
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers} | more).encode()


def index_entry(body: bytes, architecture: str, **more: object) -> dict[str, object]:
    """What an index says of a manifest; `more` goes over its keys."""
    return layer(MANIFEST, body) | {"platform": {"os": "linux", "architecture": architecture}} | more


def index(*entries: Mapping[str, object]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


class Scripted(FaultyServer):
    """A server whose answers a function makes."""

    def __init__(self, script: Callable[[Request], Answer]) -> None:
        self._script = script
        super().__init__()

    def _decide(self, request: Request) -> Answer:
        return self._script(request)

    def received(self, header: str) -> list[str]:
        """The values of that header in all requests so far, an empty one where it was not sent."""
        return [exchange.headers.get(header, "") for exchange in self.exchanges()]


class Registry:
    """Serves what was pushed, until closed.

    Args:
        asks_for_tokens: refuse who has none, and say where to get one.
        uses: so many requests the first token is good for, later ones for ever; None: for ever, too.

    Attributes:
        front: the registry itself; `issuer` gives the tokens; `store` has the blobs.
        private: repositories for which strangers get a token that opens nothing.
        challenge: what is said in place of the usual challenge.
        manifests: by repository and tag.
        on_manifest, on_tags, on_token: what goes wrong there.
        on_blob: what goes wrong with each blob in turn; the last one stays.
    """

    def __init__(self, *, asks_for_tokens: bool = True, uses: int | None = None) -> None:
        self.private: set[str] = set()
        self.challenge: str | None = None
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.on_manifest: Fault = ok()
        self.on_tags: Fault = ok()
        self.on_token: Fault = ok()
        self.on_blob: list[Fault] = [ok()]
        self._asks_for_tokens = asks_for_tokens
        self._uses = uses
        self._lock = threading.Lock()
        self._left: dict[str, int | None] = {}  # uses of each token
        self._scopes: dict[str, str] = {}
        self._blobs: dict[str, File] = {}
        self.front = Scripted(self._registry)
        self.issuer = Scripted(self._issue)
        self.store = Scripted(self._blob)

    @property
    def address(self) -> str:
        """For OLLAMA_REGISTRY."""
        return self.front.url("")

    @property
    def tokens(self) -> int:
        """How many were given."""
        return len(self._scopes)

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    def push(self, repository: str, tag: str, *layers: tuple[str, bytes]) -> None:
        """A model of these layers: media type and bytes."""
        self.put(repository, tag, manifest([layer(kind, data) for kind, data in layers]))
        for data in (b"{}", *(data for _, data in layers)):
            self._blobs[digest_of(data)] = File.of(data)

    def put(self, repository: str, tag: str, manifest: bytes) -> None:
        """Any manifest."""
        self.manifests[repository, tag] = manifest

    def expire(self) -> None:
        """No token that was given is good any more."""
        with self._lock:
            self._left.clear()

    def close(self) -> None:
        for server in (self.front, self.issuer, self.store):
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- the three hosts

    def _registry(self, request: Request) -> Answer:
        repository, kind, what = _parts_of(request)
        if self._asks_for_tokens and not self._is_good(request.headers.get("authorization", ""), repository):
            return self._challenge(repository)
        if kind == "manifests":
            return self._manifest(request, repository, what)
        if kind == "tags":
            tags = [tag for name, tag in self.manifests if name == repository]
            known = _json(200, {"name": repository, "tags": tags}) if tags else _error(404, "NAME_UNKNOWN")
            return self.on_tags.on_answer(known)
        if what in self._blobs:
            return Answer(307, {"Location": f"{self.store.url(f'/{what}', 'localhost')}?signature=of-{what}"})
        return _error(404, "BLOB_UNKNOWN")

    def _manifest(self, request: Request, repository: str, tag: str) -> Answer:
        found = self.manifests.get((repository, tag))
        if found is None or MANIFEST not in request.headers.get("accept", ""):
            return _error(404, "MANIFEST_UNKNOWN")
        return self.on_manifest.on_answer(Answer(200, {"Content-Type": MANIFEST}, found))

    def _challenge(self, repository: str) -> Answer:
        realm = self.issuer.url("/token")
        usual = f'Bearer realm="{realm}",service="models",scope="repository:{repository}:pull"'
        denied = _error(401, "UNAUTHORIZED")
        return Answer(401, {**denied.headers, "WWW-Authenticate": self.challenge or usual}, denied.body)

    def _issue(self, request: Request) -> Answer:
        scope = parse_qs(urlsplit(request.target).query).get("scope", [""])[0]
        with self._lock:
            token = f"token-{len(self._scopes) + 1}"
            self._left[token] = None if self._scopes else self._uses
            self._scopes[token] = scope
        return self.on_token.on_answer(_json(200, {"token": token, "expires_in": 60}))

    def _is_good(self, authorization: str, repository: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            if token not in self._left or repository in self.private:
                return False
            left = self._left[token]
            if self._scopes[token] != f"repository:{repository}:pull" or left == 0:
                return False
            self._left[token] = None if left is None else left - 1
        return True

    def _blob(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        digest = parts.path.removeprefix("/")
        if "authorization" in request.headers or parts.query != f"signature=of-{digest}":
            return Answer(400, {}, b"only what is signed, and nothing else")
        with self._lock:
            fault = self.on_blob.pop(0) if len(self.on_blob) > 1 else self.on_blob[0]
        return fault.answer(request, self._blobs[digest])


def _parts_of(request: Request) -> tuple[str, str, str]:
    """Repository, kind and name of what is asked for."""
    path, _, name = request.target.removeprefix("/v2/").rpartition("/")
    repository, _, kind = path.rpartition("/")
    return repository, kind, name


def _error(status: int, code: str) -> Answer:
    return _json(status, {"errors": [{"code": code, "message": code.replace("_", " ").lower()}]})


def _json(status: int, value: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
