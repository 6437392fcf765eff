"""A reference to the registry of Ollama, or to another of its kind, becomes a model."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.events import Warned
from luci_dl.model import Artifact, Model
from luci_dl.names import check_name
from luci_dl.net.response import Document
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.ollama.manifest import ACCEPTED, MOST_BYTES, Layer, read_manifest
from luci_dl.sources.ollama.name import DEFAULT_HOST, Name, parse_name
from luci_dl.sources.selection import FileSelection
from luci_dl.text import nearest, printable

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HUB_HOSTS = ("hf.co", "huggingface.co")
_SHOWN_TAGS = 8


def from_reference(word: str, choice: FileSelection, web: ResolveContext) -> Model:
    """The files that the word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""
    name = parse_name(word)
    repository = name.repository(web.endpoints.ollama)
    if web.network.offline:
        return _installed(name, repository, web)
    document = web.document(
        f"{repository}/manifests/{name.tag}", {"Accept": ", ".join(ACCEPTED)}, repository=repository, at_most=MOST_BYTES
    )
    if document.status != 200:
        raise _refusal(name, repository, document, web)
    manifest = read_manifest(document, str(name), choice.projector)
    if manifest.has_adapter:
        web.emit(Warned(f"{name} comes with an adapter (LoRA), which luci leaves out: this is the model without it"))

    def artifact(layer: Layer, target: str, role: str) -> Artifact:
        url = f"{repository}/blobs/sha256:{layer.sha256}"
        return Artifact(check_name(target), (url,), layer.size, layer.sha256, role=role, repository=repository)

    files = [artifact(manifest.model, name.targets[0], "model")]
    if manifest.projector:
        files.append(artifact(manifest.projector, name.targets[1], "projector"))
    return Model(str(name), tuple(files))


def _installed(name: Name, repository: str, web: ResolveContext) -> Model:
    model = web.installed(str(name))
    if model is None:
        raise NetworkError(
            f"{name} is not installed; {urlsplit(repository).netloc} would have to be asked for it, "
            "but luci is to stay offline",
            "Leave out --offline.",
        )
    return model


def _refusal(name: Name, repository: str, document: Document, web: ResolveContext) -> LuciError:
    """What the answer that is no manifest means, and what to do. Raises: NetworkError; Interrupted."""
    host, status = urlsplit(repository).netloc, document.status
    said = _said(document)
    if status in (401, 403):
        return ResolveError(
            f"{name}: {host} shows it to nobody without an account ({status}{said}): it is private, or not there",
            _on_hub(name)
            or "Check the name. luci has no account there; what is private has to be fetched with Ollama.",
        )
    if status == 404:
        return _not_found(name, repository, web)
    if 400 <= status < 500:
        return ResolveError(
            f"{name}: {host} refuses it ({status}{said})", _on_hub(name) or "See what it says, and check the name."
        )
    return NetworkError(f"{name}: {host} answers {status}{said}", "Try again later.")


def _not_found(name: Name, repository: str, web: ResolveContext) -> ResolveError:
    """Tells a name that is not there from a tag, as far as the registry does."""
    host = urlsplit(repository).netloc
    listed = web.document(f"{repository}/tags/list", {}, repository=repository, at_most=MOST_BYTES)
    tags = _tags(listed) if listed.status == 200 else []
    if tags:
        shown = list(dict.fromkeys((*nearest(name.tag, tags, 3), *tags)))[:_SHOWN_TAGS]
        more = f" and {len(tags) - len(shown)} more" if len(tags) > len(shown) else ""
        return ResolveError(
            f'{name}: {name.model} has no tag "{name.tag}"',
            f"There are {', '.join(shown)}{more}. Name one behind a colon.",
        )
    if listed.status == 404 and '"NAME_UNKNOWN"' in listed.body[:1000].decode("latin-1"):
        return ResolveError(f"{name}: {host} has no such model", _where_to_look(name, host))
    return ResolveError(f"{name}: {host} has no such model, or not with that tag", _where_to_look(name, host))


def _where_to_look(name: Name, host: str) -> str:
    if host == DEFAULT_HOST:
        return f"See https://ollama.com/{name.namespace}/{name.model}/tags, or search at https://ollama.com/search."
    return _on_hub(name) or "Check host, namespace and name; a tag goes behind a colon."


def _on_hub(name: Name) -> str:
    """What to type instead where the registry is the Hub's; nothing elsewhere."""
    if name.host not in _HUB_HOSTS:
        return ""
    quant = "" if name.tag == "latest" else f":{name.tag}"
    return f"The Hub's own way says more: luci install hf:{name.namespace}/{name.model}{quant}"


def _tags(document: Document) -> list[str]:
    """Those that can be one; none where the answer is no list of tags."""
    try:
        answer = document.json()
    except NetworkError:
        return []
    tags = answer.get("tags") if isinstance(answer, dict) else None
    return [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)] if isinstance(tags, list) else []


def _said(document: Document) -> str:
    """The registry's own words, in one line that a terminal can be shown; nothing where it has none."""
    try:
        answer = document.json()
    except NetworkError:
        return ""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else answer
    text = (first.get("message") or first.get("error")) if isinstance(first, dict) else None
    return f', "{printable(" ".join(text.split()))[:200]}"' if isinstance(text, str) and text.strip() else ""
