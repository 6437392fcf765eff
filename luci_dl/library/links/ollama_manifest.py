"""Manifests of Ollama's models: the digests that one names, and one made for a GGUF file that came from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.errors import ResolveError
from luci_dl.formats import gguf
from luci_dl.formats.reading import Damaged, Unsupported
from luci_dl.library.installed import InstalledModel
from luci_dl.sources.ollama.manifest import ACCEPTED
from luci_dl.text import printable, shown

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def layers(manifest: bytes, what: object) -> dict[str, str]:
    """The digests that it names, each with its kind, those of layers first, then that of the config.

    Raises: ResolveError, for a manifest that is invalid or of a newer format.
    """
    shown_name = printable(str(what))
    try:
        facts: Any = json.loads(manifest)
        version, media_type = facts["schemaVersion"], facts.get("mediaType", _MANIFEST)
        if version != 2 or media_type not in ACCEPTED[:2]:
            raise ResolveError(
                f"the manifest of {shown_name} has format {shown(version)} ({shown(media_type)}), this luci knows "
                f"format 2 ({_MANIFEST})",
                "Update luci. Nothing was changed.",
            )
        found = {str(layer["digest"]): str(layer["mediaType"]).removeprefix(_LAYER) for layer in facts["layers"] or ()}
        found.setdefault(str(facts["config"]["digest"]), "description")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ResolveError(f"the manifest of {shown_name} is invalid", "Install the model again.") from error
    if not all(map(_DIGEST.fullmatch, found)):
        raise ResolveError(f"the manifest of {shown_name} names an invalid digest", "Install the model again.")
    return found


def make(model: InstalledModel) -> tuple[bytes, dict[str, bytes], list[str]]:
    """A manifest for a model of one GGUF file and perhaps a projector, as Ollama writes it.

    Returns: the manifest, the small files that it names, by digest, and what the user should know.
    Raises: ResolveError, for a model that Ollama cannot run; StorageError.
    """
    models = [file for file in model.files if file.receipt.role == "model"]
    projectors = [file for file in model.files if file.receipt.role == "projector"]
    if len(models) != 1:
        raise _split(model, len(models))
    header = header_of(models[0].path)
    if (header.shards or 1) > 1:
        raise _split(model, header.shards or 1)
    files = [(file.receipt.role, f"sha256:{file.receipt.sha256}", file.receipt.size) for file in (*models, *projectors)]
    config = _config(header, [digest for _, digest, _ in files], ["clip"] if projectors else [])
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest, "size": len(config)},
        "layers": [{"mediaType": _LAYER + role, "digest": digest, "size": size} for role, digest, size in files],
    }
    notes = []
    if not header.has_chat_template:
        notes.append(f"{models[0].path.name} has no chat template, so Ollama passes it prompts as they are")
    return _json(manifest), {digest: config}, notes


def _split(model: InstalledModel, count: int) -> ResolveError:
    return ResolveError(
        f"{printable(model.reference)} has {count} files, and Ollama can only use a model of one",
        "Merge them with llama-gguf-split --merge, or link it to another program.",
    )


def _config(header: gguf.Header, digests: Sequence[str], more_families: Sequence[str]) -> bytes:
    """Ollama's description of a model."""
    return _json(
        {
            "model_format": "gguf",
            "model_family": header.architecture,
            "model_families": [header.architecture, *more_families],
            "model_type": _human(header.parameters),
            "file_type": header.file_type or "unknown",
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def header_of(path: Path) -> gguf.Header:
    """Raises: ResolveError, when the file is no GGUF file that luci can read; StorageError."""
    file = fs.open_to_read(path)
    try:
        header = gguf.check(partial(fs.read_at, file), file.size)
    except (Damaged, Unsupported) as error:
        raise ResolveError(f"Ollama needs a GGUF file, and {printable(path.name)} is none: {error}") from error
    if not header.architecture:
        raise ResolveError(f"{printable(path.name)} does not say what kind of model it is, so Ollama cannot run it")
    return header


def _human(count: int) -> str:
    """As Ollama prints a number of parameters."""
    for unit, letter, places in ((10**9, "B", 1), (10**6, "M", 2)):
        if count >= unit:
            return f"{count / unit:.{places if count % unit else 0}f}{letter}"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)
