"""A name in Ollama's registry, or in another of its kind, becomes a model."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError
from luci_dl.events import Warned
from luci_dl.model import MANIFEST, MAX_COMPANION, MAX_KEPT, Artifact, Model
from luci_dl.names import check_name
from luci_dl.net.document import Document
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.ollama.manifest import ACCEPTED, MAX_BYTES, Layer, Manifest, read_manifest
from luci_dl.sources.ollama.name import DEFAULT_HOST, Name, parse_name
from luci_dl.sources.pages import HUB_SITES
from luci_dl.sources.selection import FileSelection
from luci_dl.text import nearest

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_TAGS = 8


def resolve_name(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    """The files that the word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""
    name = parse_name(word)
    repository = name.repository(context.endpoints.ollama, context.endpoints.http_hosts)
    if context.network.offline:
        return context.installed_offline(urlsplit(repository).netloc, str(name))
    document = _manifest(name, context)
    manifest = read_manifest(document, str(name), selection.projector)
    if manifest.has_adapter:
        context.emit(Warned(f"{name} includes an adapter (LoRA), which luci does not install"))

    def artifact(layer: Layer, target: str, role: str) -> Artifact:
        url = f"{repository}/blobs/sha256:{layer.sha256}"
        name, sha256 = check_name(target), layer.sha256
        return Artifact(name, (url,), layer.size, sha256, role=role, repository=repository, access="public")

    files = [artifact(manifest.model, name.targets[0], "model")]
    if manifest.projector:
        files.append(artifact(manifest.projector, name.targets[1], "projector"))
    small = _kept_layers(manifest, name, len(document.body), context)
    companions = tuple(artifact(layer, f"sha256:{layer.sha256}", "companion") for layer in small)
    kept = {MANIFEST: base64.b64encode(document.body).decode()}
    return Model(str(name), tuple(files), kept=kept, companions=companions)


def _manifest(name: Name, context: ResolveContext) -> Document:
    """The manifest of the model, as its registry has it; if that is Ollama's and away, as the LAN has it.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """

    def ask_at(asking: ResolveContext, base: str) -> Document:
        repository = name.repository(base, asking.endpoints.http_hosts)
        url, headers = f"{repository}/manifests/{name.tag}", {"Accept": ", ".join(ACCEPTED)}
        document = asking.document(url, headers, repository=repository, at_most=MAX_BYTES)
        if not document.is_success:
            raise _refusal(name, repository, document, asking)
        return document

    base = context.endpoints.ollama
    if name.host != DEFAULT_HOST:
        return ask_at(context, base)
    return context.ask(base, (), f"the files of {name} and their digests are", ask_at)


def _kept_layers(manifest: Manifest, name: Name, size: int, context: ResolveContext) -> list[Layer]:
    """The small files to keep with the model; `size`: of the manifest, in bytes."""
    small = list(dict.fromkeys(manifest.small))
    kept = [layer for layer in small if layer.size <= MAX_COMPANION]
    while kept and size + sum(layer.size for layer in kept) > MAX_KEPT:
        kept.remove(max(kept, key=lambda layer: layer.size))
    if len(kept) < len(small):
        what = f"{name} names a licence, or another file beside the model, that is too large to be kept"
        context.emit(Warned(f"{what}: luci cannot link it to Ollama"))
    return kept


def _refusal(name: Name, repository: str, document: Document, context: ResolveContext) -> LuciError:
    """The error for a response that is not a manifest. Raises: NetworkError; Interrupted."""
    host, status, reason = urlsplit(repository).netloc, document.status, document.reason
    if status in (401, 403):
        return ResolveError(
            f"{name}: {host} requires an account ({status}{reason}): the model is private or does not exist",
            _on_hub(name) or "Check the name. luci cannot log in there; fetch private models with Ollama.",
        )
    if status == 404:
        return _not_found(name, repository, context)
    if 400 <= status < 500:
        return ResolveError(
            f"{name}: {host} refused the request ({status}{reason})", _on_hub(name) or "Check the name."
        )
    return NetworkError(f"{name}: {host} answered {status}{reason}", "Try again later.")


def _not_found(name: Name, repository: str, context: ResolveContext) -> NotFound:
    """The error for a missing model or a missing tag, as far as the registry distinguishes the two."""
    host = urlsplit(repository).netloc
    listed = context.document(f"{repository}/tags/list", {}, repository=repository, at_most=MAX_BYTES)
    tags = _tags(listed) if listed.is_success else []
    if tags:
        shown = list(dict.fromkeys((*nearest(name.tag, tags, 3), *tags)))[:_MAX_TAGS]
        more = f" and {len(tags) - len(shown)} more" if len(tags) > len(shown) else ""
        return NotFound(
            f'{name}: {name.model} has no tag "{name.tag}"',
            f"Its tags: {', '.join(shown)}{more}. Name one after a colon.",
        )
    if listed.status == 404 and '"NAME_UNKNOWN"' in listed.body[:1000].decode("latin-1"):
        return NotFound(f"{name}: {host} has no such model", _where_to_look(name, host))
    return NotFound(f"{name}: {host} has no such model or tag", _where_to_look(name, host))


def _where_to_look(name: Name, host: str) -> str:
    if host == DEFAULT_HOST:
        return f"See https://ollama.com/{name.namespace}/{name.model}/tags, or search at https://ollama.com/search."
    return _on_hub(name) or "Check host, namespace and name; a tag follows a colon."


def _on_hub(name: Name) -> str:
    """A hint to use an `hf:` reference, if the registry is the Hub's; empty for any other."""
    if name.host not in HUB_SITES:
        return ""
    quant = "" if name.tag == "latest" else f":{name.tag}"
    return f"A Hub reference gives more detail: luci install hf:{name.namespace}/{name.model}{quant}"


def _tags(document: Document) -> list[str]:
    """The valid tags in a tag list; none if the response is not one."""
    try:
        answer = document.json()
    except NetworkError:
        return []
    tags = answer.get("tags") if isinstance(answer, dict) else None
    return [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)] if isinstance(tags, list) else []
