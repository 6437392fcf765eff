"""Whom to ask: the Hub, its mirrors, the registry of Ollama, and with which token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Model
from luci_dl.net.origin import is_loopback
from luci_dl.sources.url import HUB, parse_address
from luci_dl.text import printable


@dataclass(frozen=True)
class Endpoints:
    """Addresses without a slash at their end.

    Attributes:
        hub: of the Hub, or of what HF_ENDPOINT puts in its place.
        hub_token: for that host alone; None without one.
        mirrors: serve the same paths as the Hub; what comes from there is believed as far as a digest proves it.
        ollama: of the registry that Ollama names without a host are in.
    """

    hub: str = f"https://{HUB}"
    hub_token: str | None = field(default=None, repr=False)
    mirrors: tuple[str, ...] = ()
    ollama: str = "https://registry.ollama.ai"

    @property
    def hub_headers(self) -> dict[str, str]:
        """What the Hub's own host is told of who asks."""
        return {"Authorization": f"Bearer {self.hub_token}"} if self.hub_token else {}

    def headers_for(self, url: str) -> dict[str, str]:
        """The same for the Hub's own host, and nothing for any other."""
        here, there = urlsplit(self.hub), urlsplit(url)
        return self.hub_headers if (here.scheme, here.netloc) == (there.scheme, there.netloc) else {}

    def hub_urls(self, path: str, first: str | None = None) -> tuple[str, ...]:
        """The addresses of what the Hub has at `path` (which begins with a slash), `first` or the Hub's own first."""
        return tuple(dict.fromkeys(base + path for base in (first or self.hub, self.hub, *self.mirrors)))

    def spread(self, model: Model) -> Model:
        """The model with every file that is on the Hub at all the addresses where it may be had."""
        return replace(model, artifacts=tuple(map(self._spread, model.artifacts)))

    def _spread(self, artifact: Artifact) -> Artifact:
        """Only what a digest proves may come from a mirror."""
        parts = urlsplit(artifact.urls[0])
        if parts.scheme != "https" or parts.netloc != HUB or len(artifact.urls) > 1:
            return artifact
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        urls = self.hub_urls(path) if artifact.provable else (self.hub + path,)
        return replace(artifact, urls=urls, headers=artifact.headers or self.hub_headers)


def endpoints_of(environ: Mapping[str, str], mirrors: Sequence[str] = ()) -> Endpoints:
    """What the environment says; `mirrors` is what config.json has, for when LUCI_MIRRORS is not set.

    Raises: UsageError, which names the variable.
    """
    told = [text for text in re.split(r"[\s,]+", environ.get("LUCI_MIRRORS", "")) if text]
    default = Endpoints()
    return Endpoints(
        hub=_base(environ.get("HF_ENDPOINT") or default.hub, "HF_ENDPOINT", must_be_safe=True),
        hub_token=_hub_token(environ),
        mirrors=tuple(_base(text, "LUCI_MIRRORS") for text in told)
        or tuple(_base(text, "mirrors") for text in mirrors),
        ollama=_base(environ.get("OLLAMA_REGISTRY") or default.ollama, "OLLAMA_REGISTRY", must_be_safe=True),
    )


def _base(text: str, what: str, *, must_be_safe: bool = False) -> str:
    """The address without a slash at its end. `must_be_safe`: nobody on the way may be able to change what it says."""
    try:
        url = parse_address(text).url.rstrip("/")
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}", "Give an address such as https://mirror.example.") from error
    parts = urlsplit(url)
    if parts.query or "@" in text:
        raise UsageError(f"{what}: expected the address of a server, without credentials and query")
    if must_be_safe and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"{what}: {printable(url)} is plain http, where anybody could change what it says", "Use https."
        )
    return url


def _hub_token(environ: Mapping[str, str]) -> str | None:
    """HF_TOKEN, else what the Hub's own tools have saved."""
    told = environ.get("HF_TOKEN", "").strip()
    if told:
        return _check_token(told, "HF_TOKEN")
    cache = Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    file = environ.get("HF_TOKEN_PATH") or Path(environ.get("HF_HOME") or cache) / "token"
    try:
        saved = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError):
        return None
    return _check_token(saved, printable(str(file))) if saved else None


def _check_token(text: str, what: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(f"{what} holds a space or a character that no token has", "Correct or remove it.")
    return text
