"""Names of models in a registry, and of their files below the models folder."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from luci_dl.errors import ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.net.origin import is_safe
from luci_dl.sources.pages import parameters
from luci_dl.sources.url import parse_address
from luci_dl.text import cut, printable

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"

_PREFIX = "ollama:"
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?ollama\.com/([^/?#]+/[^/?#]+)(?:/tags)?/?(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE
)
_NO_NAMESPACES = ("api", "assets", "blog", "docs", "download", "install", "public", "v2")
_HOSTS_OF_DEFAULT = (DEFAULT_HOST, "ollama.com", "www.ollama.com")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_FORM = "ollama:[HOST/][NAMESPACE/]MODEL[:TAG]"


@frozen
class Name:
    """A model in a registry. Its string is the canonical form of all spellings.

    Attributes:
        host: with its port, if it has one; DEFAULT_HOST for names without a host.
    """

    host: str
    namespace: str
    model: str
    tag: str

    def __str__(self) -> str:
        if self.is_default:
            return f"{_PREFIX}{self.model}:{self.tag}"
        host = "" if self.host == DEFAULT_HOST else f"{self.host}/"
        return f"{_PREFIX}{host}{self.namespace}/{self.model}:{self.tag}"

    @property
    def is_default(self) -> bool:
        """True when the canonical form has neither host nor namespace."""
        return (self.host, self.namespace) == (DEFAULT_HOST, DEFAULT_NAMESPACE)

    @property
    def targets(self) -> tuple[str, str]:
        """The paths of the model and its projector below the models folder; a port's colon becomes a plus."""
        stem = f"{self.model}-{self.tag}"
        if not self.is_default:
            host = self.host.strip("[]").replace("]", "").replace(":", "+")
            stem = f"{host}/{self.namespace}/{stem}"
        return f"{stem}.gguf", f"{stem}.mmproj.gguf"

    def repository(self, default: str, http_hosts: Collection[str] = ()) -> str:
        """The prefix of all addresses of the model.

        Args:
            default: the base address of the default registry.
            http_hosts: registries that are asked in plain http, as those on this machine are.
        """
        if self.host == DEFAULT_HOST:
            base = default
        else:
            scheme = "http" if is_safe(f"http://{self.host}", http_hosts) else "https"
            base = default if urlsplit(default).netloc == self.host else f"{scheme}://{self.host}"
        return f"{base}/v2/{self.namespace}/{self.model}"


def is_name(word: str) -> bool:
    """True for a word that begins with `ollama:`, and for the address of a model's page."""
    return word[: len(_PREFIX)].casefold() == _PREFIX or _on_page(word) is not None


def parse_name(word: str) -> Name:
    """Parse a word for which `is_name` is true. Raises: ResolveError, for a malformed name."""
    page = _on_page(word)
    text = page[1] if page else word[len(_PREFIX) :].removeprefix("//")
    if page and (unknown := parameters(page[2] or "", "tab")):
        problem = f'{printable(page[1])} is followed by "?{printable(unknown[0][0])}=", which luci does not know'
        raise ResolveError(problem, f"Leave it out, or give {_FORM}.")
    *front, last = text.split("/")
    model, colon, tag = last.partition(":")
    if len(front) == 1 and (front[0] == "localhost" or "." in front[0] or ":" in front[0]):
        front.append(DEFAULT_NAMESPACE)
    host = _host("/".join(front[:-1]), word) if len(front) > 1 else DEFAULT_HOST
    namespace, tag = front[-1] if front else DEFAULT_NAMESPACE, tag if colon else "latest"
    for part, what in ((model, "MODEL"), (namespace, "NAMESPACE"), (tag, "TAG")):
        if not _PART.fullmatch(part):
            example = "For example: ollama:llama3.2, ollama:llama3.2:1b or ollama:registry.example/team/model:tag."
            raise _malformed(word, part, what, example)
    return Name(host, namespace, model, tag)


def _host(text: str, word: str) -> str:
    try:
        url = parse_address(f"https://{text}/").url
    except UsageError:
        url = ""
    host = urlsplit(url).netloc
    if not host or url != f"https://{host}/" or "@" in text:
        raise _malformed(word, text, "HOST", "A host may have a port, but no scheme, user or folder.")
    return DEFAULT_HOST if host in _HOSTS_OF_DEFAULT else host


def _on_page(word: str) -> re.Match[str] | None:
    """NAMESPACE/MODEL[:TAG] and the query of the address of a model's page at ollama.com; None for any other word."""
    found = _PAGE.fullmatch(word)
    return found if found and found[1].partition("/")[0].casefold() not in _NO_NAMESPACES else None


def _malformed(word: str, part: str, what: str, hint: str) -> ResolveError:
    """The error, without anything before an @, which may be a password."""
    word, part = (cut(text.rpartition("@")[2]) for text in (word, part))
    return ResolveError(f'{word}: "{part}" is not a valid {what}; expected {_FORM}', hint)
