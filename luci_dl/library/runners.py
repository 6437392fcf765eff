"""Where other programs keep their models: read from their environment variables and settings, never changed."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from luci_dl.environment import variable

_MOST_NOTES = 4 << 20  # bytes
_SYSTEM_OLLAMA = Path("/usr/share/ollama/.ollama/models")


def read_note(path: Path) -> bytes:
    """The beginning of a small file of another program; nothing of a pipe, which may never end. Raises: OSError."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(_MOST_NOTES) or b""


def hub_cache(environ: Mapping[str, str]) -> Path:
    """The cache of huggingface_hub, which transformers, vLLM and llama.cpp share."""
    home = variable(environ, "HF_HOME") or os.path.join(
        variable(environ, "XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    cache = variable(environ, "HF_HUB_CACHE") or variable(environ, "HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expanduser(cache))


def llama_caches(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The caches of llama.cpp besides the Hub's: the one it prefers, if any, and its own until 2026."""
    chosen = variable(environ, "LLAMA_CACHE")
    caches = "~/Library/Caches" if sys.platform == "darwin" else variable(environ, "XDG_CACHE_HOME") or "~/.cache"
    own = os.path.join(caches, "llama.cpp")
    return tuple(Path(os.path.expanduser(cache)) for cache in (chosen, own) if cache)


def ollama(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Ollama's models, those of the user first, then those of the system service."""
    own = variable(environ, "OLLAMA_MODELS")
    return (Path(os.path.expanduser(own or "~/.ollama/models")), _SYSTEM_OLLAMA)


def lm_studio() -> Path:
    """LM Studio's models, PUBLISHER/MODEL/FILE."""
    home, older = Path(os.path.expanduser("~/.lmstudio")), Path(os.path.expanduser("~/.cache/lm-studio"))
    if older.is_dir() and not home.is_dir():
        home = older
    with contextlib.suppress(OSError, ValueError):
        home = _folder(read_note(Path(os.path.expanduser("~/.lmstudio-home-pointer"))).decode().strip()) or home
    with contextlib.suppress(OSError, ValueError, RecursionError):
        chosen = json.loads(read_note(home / "settings.json"))
        if isinstance(chosen, dict) and (folder := _folder(chosen.get("downloadsFolder"))):
            return folder
    return home / "models"


def _folder(text: object) -> Path | None:
    """The folder that a setting names; None if it names none."""
    if not isinstance(text, str) or not os.path.isabs(text) or b"\0" in os.fsencode(text):
        return None
    return Path(text)


def docker(environ: Mapping[str, str]) -> Path:
    """The store of Docker's model runner."""
    return Path(os.path.expanduser(variable(environ, "MODELS_PATH") or "~/.docker/models"))


def jan() -> Path:
    """Jan's models, ORG/REPO/model.gguf beside a model.yml."""
    data = "~/Library/Application Support/Jan/data" if sys.platform == "darwin" else "~/.local/share/Jan/data"
    return Path(os.path.expanduser(data)) / "llamacpp" / "models"


def gpt4all() -> Path:
    """GPT4All's models, all in one folder."""
    share = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share"
    return Path(os.path.expanduser(share)) / "nomic.ai" / "GPT4All"
