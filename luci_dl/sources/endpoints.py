"""Which servers to ask and with which token: the Hub, its mirrors, the registry of Ollama."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from urllib.parse import urlsplit

from luci_dl.environment import variable
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Model
from luci_dl.net.origin import host_of, is_safe
from luci_dl.sources.pages import HUB
from luci_dl.sources.url import parse_address
from luci_dl.text import decoded, printable


@frozen
class Server:
    """A server that an install may ask, for `luci doctor`.

    Attributes:
        name: what messages call it.
        url: something small to ask for.
        needed: most installs fail without this server.
        headers: sent only to the host of `url`; not empty if they carry a token.
    """

    name: str
    url: str
    needed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@frozen
class Endpoints:
    """Base addresses, without a slash at the end.

    Attributes:
        hub: the Hub, or what HF_ENDPOINT names instead.
        hub_token: sent only to the host of `hub`; None without one.
        mirrors: serve the same paths as the Hub, and are trusted only as far as a digest proves the bytes.
        ollama: the registry of Ollama names that do not name a host.
        docker: the registry of Docker names that do not name a host.
        http_hosts: whose plain http is trusted.
        lan: servers on the LAN. They are asked for files before all others, and for what these state about files only
            when those are away.
    """

    hub: str = f"https://{HUB}"
    hub_token: str | None = field(default=None, repr=False)
    mirrors: tuple[str, ...] = ()
    ollama: str = "https://registry.ollama.ai"
    docker: str = "https://registry-1.docker.io"
    http_hosts: tuple[str, ...] = ()
    lan: tuple[str, ...] = ()

    @property
    def hubs(self) -> tuple[str, ...]:
        """The servers with the pages of the Hub."""
        return self.hub, *self.mirrors

    @property
    def hub_headers(self) -> dict[str, str]:
        """The request headers for the host of the Hub. The token is sent only where it cannot be read on the way."""
        may_send = self.hub_token and is_safe(self.hub, self.http_hosts)
        return {"Authorization": f"Bearer {self.hub_token}"} if may_send else {}

    def headers_for(self, url: str) -> dict[str, str]:
        """`hub_headers` for an address at the Hub's own host, none for any other."""
        hub, asked = urlsplit(self.hub), urlsplit(url)
        return self.hub_headers if (hub.scheme, hub.netloc) == (asked.scheme, asked.netloc) else {}

    def refuse_plain_http(self, url: str, variable: str = "") -> None:
        """Raises: UsageError, when somebody on the way could change what a server states about files.

        What the LAN states is used only with a warning.

        Args:
            variable: what names the server; empty if it is one of these servers.
        """
        if is_safe(url, self.http_hosts) or any(url.startswith(f"{base}/") for base in self.lan):
            return
        named = {"HF_ENDPOINT": self.hub, "OLLAMA_REGISTRY": self.ollama, "DOCKER_REGISTRY": self.docker}
        variable = variable or next(
            (name for name, base in named.items() if url.startswith(f"{base}/")), "LUCI_MIRRORS"
        )
        raise UsageError(
            f"{variable}: {host_of(url)} would be asked in plain http, so its digests could be tampered with",
            f"Use https or --sha256, or trust the host on your own network: luci config set http_hosts {host_of(url)}",
        )

    def hub_urls(self, path: str, first: str | None = None) -> tuple[str, ...]:
        """The addresses of a Hub path, which begins with a slash: at the base `first`, the Hub and its mirrors."""
        return tuple(dict.fromkeys(base + path for base in (first or self.hub, self.hub, *self.mirrors)))

    def with_mirrors(self, model: Model) -> Model:
        """The model with the mirrors' addresses added to those of its files that are on the Hub."""
        return replace(model, artifacts=tuple(map(self._with_mirrors, model.artifacts)))

    def _with_mirrors(self, artifact: Artifact) -> Artifact:
        parts = urlsplit(artifact.urls[0])
        if parts.scheme != "https" or parts.netloc != HUB or len(artifact.urls) > 1:
            return artifact
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        # without a digest nothing would show that a mirror has another file
        urls = self.hub_urls(path) if artifact.provable else (self.hub + path,)
        return replace(artifact, urls=urls, headers=artifact.headers or self.hub_headers)


def endpoints_of(
    environ: Mapping[str, str],
    mirrors: Sequence[str] = (),
    http_hosts: tuple[str, ...] = (),
    lan: Sequence[str] = (),
) -> Endpoints:
    """The servers that the environment names, with the settings of config.json: `mirrors` if LUCI_MIRRORS is not set.

    Raises: UsageError, which names the variable.
    """
    named, servers = _split(variable(environ, "LUCI_MIRRORS")), tuple(_base(text, "lan") for text in lan)
    default = Endpoints()

    def base_of(text: str, name: str, default: str) -> str:
        """What the variable says; not a server on the LAN, which is named there for other programs."""
        base = _base(text or default, name)
        return default if host_of(base) in map(host_of, servers) else base

    endpoints = Endpoints(
        hub=base_of(variable(environ, "HF_ENDPOINT"), "HF_ENDPOINT", default.hub),
        hub_token=_hub_token(environ),
        mirrors=tuple(_base(text, "LUCI_MIRRORS") for text in named)
        or tuple(_base(text, "mirrors") for text in mirrors),
        ollama=base_of(variable(environ, "OLLAMA_REGISTRY"), "OLLAMA_REGISTRY", default.ollama),
        docker=_base(variable(environ, "DOCKER_REGISTRY") or default.docker, "DOCKER_REGISTRY"),
        http_hosts=http_hosts,
        lan=servers,
    )
    _check_lan(endpoints)
    return endpoints


def _check_lan(endpoints: Endpoints) -> None:
    """Raises: UsageError, if a server on the LAN is the one that states what its bytes must be."""
    for base in (endpoints.hub, endpoints.ollama):
        if host_of(base) in map(host_of, endpoints.lan):
            raise UsageError(
                f"lan: {host_of(base)} states the digests, too, so nothing would verify what it sends",
                "Leave that server out of lan (--no-lan, LUCI_LAN).",
            )


def unchecked_endpoints(environ: Mapping[str, str]) -> Endpoints:
    """The servers, as needed to recognise a reference: nothing is checked, no token is read."""
    mirrors = tuple(_split(environ.get("LUCI_MIRRORS", "")))
    return Endpoints(hub=environ.get("HF_ENDPOINT") or Endpoints.hub, mirrors=mirrors)


def _split(text: str) -> list[str]:
    """The addresses in a list of them."""
    return re.findall(r"[^\s,]+", text)


def _base(text: str, what: str) -> str:
    """The address without a slash at the end."""
    try:
        url = parse_address(text).url.rstrip("/")
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}", "Give an address such as https://mirror.example.") from error
    parts = urlsplit(url)
    if parts.query or "@" in text:
        raise UsageError(f"{what}: expected the address of a server, without credentials and query")
    return url


def _hub_token(environ: Mapping[str, str]) -> str | None:
    """HF_TOKEN, or else the token that the Hub's own tools saved."""
    named = variable(environ, "HF_TOKEN")
    if named:
        return _check_token(named, "HF_TOKEN")
    cache = Path(variable(environ, "XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    file = variable(environ, "HF_TOKEN_PATH") or Path(variable(environ, "HF_HOME") or cache) / "token"
    try:
        saved = decoded(Path(file).expanduser().read_bytes()).strip()
    except (OSError, ValueError, RuntimeError):
        return None
    return _check_token(saved, printable(str(file))) if saved else None


def _check_token(text: str, what: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(f"{what} holds a space or a character that is not allowed in a token", "Correct or remove it.")
    return text
