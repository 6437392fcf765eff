"""Manifests of Ollama's models: the digests that one names, and one made for a GGUF file that came from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.errors import ResolveError
from luci_dl.formats import gguf
from luci_dl.formats.reading import Damaged, Unsupported
from luci_dl.library.installed import InstalledModel
from luci_dl.text import printable, shown

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digests(manifest: bytes, what: object) -> list[str]:
    """The digests that it names, those of layers first, then that of the config.

    Raises: ResolveError, for a manifest that is invalid or of a newer format.
    """
    try:
        facts: Any = json.loads(manifest)
        version, layers, config = facts["schemaVersion"], facts["layers"], facts["config"]
        if version != 2:
            raise ResolveError(
                f"the manifest of {printable(str(what))} has format {shown(version)}, this luci knows format 2",
                "Update luci. Nothing was changed.",
            )
        found = [str(each["digest"]) for each in (*(layers or ()), config)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ResolveError(f"the manifest of {printable(str(what))} is invalid", "Install the model again.") from error
    if not all(map(_DIGEST.fullmatch, found)):
        raise ResolveError(f"the manifest of {printable(str(what))} names an invalid digest")
    return list(dict.fromkeys(found))


def make(model: InstalledModel) -> tuple[bytes, dict[str, bytes], list[str]]:
    """A manifest for a model of one GGUF file and perhaps a projector, as Ollama writes it.

    Returns: the manifest, the small files that it names, by digest, and what the user should know.
    Raises: ResolveError, for a model that Ollama cannot run; StorageError.
    """
    models = [file for file in model.files if file.receipt.role == "model"]
    projectors = [file for file in model.files if file.receipt.role == "projector"]
    if len(models) != 1:
        raise ResolveError(
            f"{printable(model.reference)} has {len(models)} files, and Ollama can only use a model of one",
            "Merge them with llama-gguf-split --merge, or link it to another program.",
        )
    header = header_of(models[0].path)
    families = [header.architecture] + (["clip"] if projectors else [])
    config = {
        "model_format": "gguf",
        "model_family": header.architecture,
        "model_families": families,
        "model_type": _human(header.parameters),
        "file_type": header.file_type or "unknown",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{file.receipt.sha256}" for file in (*models, *projectors)]},
    }
    data = json.dumps(config, separators=(",", ":")).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    layers = [
        {
            "mediaType": f"{_LAYER}{file.receipt.role}",
            "digest": f"sha256:{file.receipt.sha256}",
            "size": file.receipt.size,
        }
        for file in (*models, *projectors)
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest, "size": len(data)},
        "layers": layers,
    }
    notes = []
    if not header.has_chat_template:
        notes.append(f"{models[0].path.name} has no chat template, so Ollama passes it prompts as they are")
    return json.dumps(manifest, separators=(",", ":")).encode(), {digest: data}, notes


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
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            value = count / unit
            return f"{value:.2f}{letter}" if letter == "M" else f"{value:.1f}{letter}"
    return str(count)
