"""An index: a list of manifests, as for several platforms. The one that holds a model is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from luci_dl.errors import IntegrityError, ResolveError
from luci_dl.frozen import frozen
from luci_dl.net.document import Document
from luci_dl.sources.docker.manifest import File, read_manifest
from luci_dl.sources.ollama.manifest import MANIFESTS, layer_of
from luci_dl.text import human_size, printable

MAX_ENTRIES = 32
"""How many manifests of an index are asked for."""
_MOST_SHOWN = 4


@frozen
class _Entry:
    """One manifest of an index; `label` names it in messages."""

    label: str
    sha256: str


def read_files(document: Document, what: str, with_projector: bool, ask: Callable[[str], Document]) -> list[File]:
    """The files of the artifact that messages call `what`; `ask` fetches a manifest by its digest in hex.

    Raises: ResolveError, also for an index from which no single model can be chosen; IntegrityError, for a manifest
        with other bytes than the index says; NetworkError.
    """
    answer = document.json()
    if not isinstance(answer, dict) or not isinstance(listed := answer.get("manifests"), list):
        return read_manifest(document, what, with_projector)
    entries = _entries(listed, what)

    def files_of(entry: _Entry, name: str) -> list[File]:
        found = ask(entry.sha256)
        if hashlib.sha256(found.body).hexdigest() != entry.sha256:
            raise IntegrityError(
                f"{what}: the manifest for {entry.label} is not the one that the registry's index names",
                "Try again later. Report it to the registry if it stays so.",
            )
        return read_manifest(found, name, with_projector)

    if len(entries) == 1:
        return files_of(entries[0], what)
    return _chosen(entries, what, files_of)


def _entries(listed: Sequence[Any], what: str) -> list[_Entry]:
    """The manifests that may be models, each once. Raises: ResolveError, if there are none, or too many."""
    usable = [each for each in listed if isinstance(each, dict) and each.get("mediaType") in MANIFESTS]
    by_digest = {layer_of(each, what).sha256: each for each in reversed(usable)}
    entries = [_Entry(_label(each, digest), digest) for digest, each in reversed(by_digest.items())]
    if not entries:
        raise ResolveError(
            f"{what} is an index of {len(listed)} entries, none of which is the manifest of a model",
            "Check the name and the tag.",
        )
    if len(entries) > MAX_ENTRIES:
        raise ResolveError(
            f"{what} is an index of {len(entries)} manifests; luci looks for a model in up to {MAX_ENTRIES}",
            "Name the tag of one of its models.",
        )
    return entries


def _label(entry: dict[str, Any], digest: str) -> str:
    platform = entry.get("platform")
    facts = [platform.get(key) for key in ("os", "architecture", "variant")] if isinstance(platform, dict) else []
    shown = "/".join(printable(fact)[:30] for fact in facts if isinstance(fact, str) and fact)
    return shown or f"sha256:{digest[:12]}"


def _chosen(entries: Sequence[_Entry], what: str, files_of: Callable[[_Entry, str], list[File]]) -> list[File]:
    """The files of the one model among them, one with a GGUF file before others."""
    models: list[tuple[str, list[File]]] = []
    found: list[str] = []
    for entry in entries:
        try:
            models.append((entry.label, files_of(entry, entry.label)))
        except ResolveError as error:
            found.append(error.message)
    best = [(label, files) for label, files in models if any(file.is_gguf for file in files)] or models
    if best and all(files == best[0][1] for _, files in best):
        return best[0][1]
    sizes = [f"{label} has one of {human_size(sum(file.layer.size for file in files))}" for label, files in best]
    listed = "; ".join([*sizes, *found][:_MOST_SHOWN])
    more = ", ..." if len(sizes) + len(found) > _MOST_SHOWN else ""
    raise ResolveError(
        f"{what} is an index of {len(entries)} manifests with {f'{len(best)} models' if best else 'no model'}: "
        f"{listed}{more}",
        "Name the tag of one of its models." if best else "Check the name and the tag.",
    )
