"""What Ollama makes of its folder, by the rules in its source (`manifest`, `server`; 2026): it cannot be run here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path

_PART = r"[A-Za-z0-9_][A-Za-z0-9_{}-]{{0,79}}"
_NAME = re.compile(rf"[\w.:-]{{1,350}}/{_PART.format('')}/{_PART.format('.')}/{_PART.format('.')}")
_BLOB = re.compile(r"sha256-[0-9a-fA-F]{64}")
_HOUR = 3600


def blob(root: Path, digest: str) -> Path:
    """The path of a blob."""
    return root / "blobs" / digest.replace(":", "-")


def listed(root: Path) -> dict[str, dict[str, bytes]]:
    """`ollama list`: the layers of each model, by the last word of their types.

    Raises: AssertionError, OSError, when one is there by half, or there are files that Ollama does not know.
    """
    assert all(_BLOB.fullmatch(path.name) for path in (root / "blobs").glob("*"))
    found: dict[str, dict[str, bytes]] = {}
    for folder in ("manifests-v2", "manifests"):
        for path in sorted((root / folder).glob("*/*/*/*")):
            name = str(path.relative_to(root / folder)).replace("ollama.com/", "registry.ollama.ai/", 1)
            assert _NAME.fullmatch(name), f"bad manifest name: {name}"
            assert folder == "manifests-v2" or not path.is_symlink()
            found.setdefault(name, _layers(root, path.read_bytes()))
    return found


def _layers(root: Path, manifest: bytes) -> dict[str, bytes]:
    facts, layers = json.loads(manifest), {}
    if "manifests" in facts:
        return _layers(root, blob(root, facts["manifests"][0]["digest"]).read_bytes())
    for layer in (*facts["layers"], facts["config"]):
        data = blob(root, layer["digest"]).read_bytes()
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (layer["size"], layer["digest"])
        layers[layer["mediaType"].rpartition(".")[2].removesuffix("+json")] = data
    return layers


def start(root: Path) -> list[str]:
    """Ollama starts: it removes what is old and no manifest names. Returns: the names that it removed."""
    manifests = " ".join(path.read_text() for path in root.glob("manifests*/*/*/*/*"))
    named = set(re.findall(r"sha256[:-]([0-9a-f]{64})", manifests))
    removed = []
    for path in sorted((root / "blobs").glob("*")):
        is_old = time.time() - path.stat().st_mtime >= _HOUR
        if is_old and not (_BLOB.fullmatch(path.name) and path.name.removeprefix("sha256-") in named):
            os.unlink(path)
            removed.append(path.name)
    return removed


def store(root: Path, name: str, manifest: bytes, *, as_list: bool = False) -> None:
    """Ollama itself makes a model of blobs that are there, as it has since 2026; `as_list`: one of several forms."""
    (root / "blobs").mkdir(exist_ok=True)
    if as_list:
        child = {"mediaType": json.loads(manifest)["mediaType"], "digest": _put(root, manifest), "runner": "ollama"}
        kind = "application/vnd.ollama.manifest.list.v2+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [child]}).encode()
    path = root / "manifests-v2" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(blob(root, _put(root, manifest)), path.parent))
    (root / "manifests" / name.replace("ollama.com/", "registry.ollama.ai/", 1)).unlink(missing_ok=True)


def _put(root: Path, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    blob(root, digest).write_bytes(data)
    return digest
