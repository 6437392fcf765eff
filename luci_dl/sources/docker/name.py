"""Names of model artifacts in Docker's registry or another, and of their files below the models folder."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from luci_dl.errors import ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.net.origin import is_safe
from luci_dl.sources.url import parse_address
from luci_dl.text import cut

DEFAULT_HOST = "registry-1.docker.io"
DEFAULT_NAMESPACE = "ai"

_PREFIX = "docker:"
_HOSTS_OF_DEFAULT = (DEFAULT_HOST, "docker.io", "index.docker.io", "hub.docker.com")
_PART = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FORM = "docker:[HOST/][NAMESPACE/]MODEL[:TAG]"
_EXAMPLE = "For example: docker:smollm2, docker:ai/smollm2:360M-Q4_K_M or docker:registry.example/team/model:tag."


@frozen
class Name:
    """A model artifact. Its string is the canonical form of all spellings.

    Attributes:
        host: with its port, if it has one.
        path: NAMESPACE/MODEL; at other hosts than Docker's whatever is there.
    """

    host: str
    path: str
    tag: str

    def __str__(self) -> str:
        path = self.path.removeprefix(f"{DEFAULT_NAMESPACE}/") if self.is_default else self.path
        return f"{_PREFIX}{'' if self.host == DEFAULT_HOST else f'{self.host}/'}{path}:{self.tag}"

    @property
    def is_default(self) -> bool:
        """True when the canonical form has neither host nor namespace."""
        return self.host == DEFAULT_HOST and self.path.count("/") == 1 and self.path.startswith(f"{DEFAULT_NAMESPACE}/")

    @property
    def stem(self) -> str:
        """The path of its file below the models folder, without the suffix; a port's colon becomes a plus."""
        host = self.host.strip("[]").replace("]", "").replace(":", "+")
        return f"{'' if self.host == DEFAULT_HOST else f'{host}/'}{self.path}-{self.tag}"

    def repository(self, default: str, http_hosts: Collection[str] = ()) -> str:
        """The prefix of all addresses of the model.

        Args:
            default: the base address of Docker's registry.
            http_hosts: registries that are asked in plain http, as those on this machine are.
        """
        scheme = "http" if is_safe(f"http://{self.host}", http_hosts) else "https"
        is_default = self.host == DEFAULT_HOST or urlsplit(default).netloc == self.host
        return f"{default if is_default else f'{scheme}://{self.host}'}/v2/{self.path}"


def is_name(word: str) -> bool:
    """True for a word that begins with `docker:`."""
    return word[: len(_PREFIX)].casefold() == _PREFIX


def parse_name(word: str) -> Name:
    """Parse a word for which `is_name` is true. The name is lower-cased, the tag is not. Raises: ResolveError."""
    text = word[len(_PREFIX) :].removeprefix("//")
    *front, last = text.split("/")
    model, colon, tag = last.partition(":")
    host = DEFAULT_HOST
    if front and (front[0] == "localhost" or "." in front[0] or ":" in front[0]):
        host = _host(front.pop(0), word)
    elif not front:
        front = [DEFAULT_NAMESPACE]
    parts = [part.casefold() for part in (*front, model)]
    for part in parts:
        if not _PART.fullmatch(part):
            raise _malformed(word, part, "NAMESPACE or MODEL")
    tag = tag if colon else "latest"
    if not _TAG.fullmatch(tag):
        raise _malformed(word, tag, "TAG")
    return Name(host, "/".join(parts), tag)


def _host(text: str, word: str) -> str:
    try:
        url = parse_address(f"https://{text}/").url
    except UsageError:
        url = ""
    host = urlsplit(url).netloc
    if not host or url != f"https://{host}/" or "@" in text:
        raise _malformed(word, text, "HOST")
    return DEFAULT_HOST if host in _HOSTS_OF_DEFAULT else host


def _malformed(word: str, part: str, what: str) -> ResolveError:
    """The error, without anything before an @, which may be a password."""
    word, part = (cut(text.rpartition("@")[2]) for text in (word, part))
    return ResolveError(f'{word}: "{part}" is not a valid {what}; expected {_FORM}', _EXAMPLE)
