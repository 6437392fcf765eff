"""The address of a file in a Hub repository: which file it is, and the same file at one commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_RESOLVE = re.compile(r"(?P<base>.*?/(?P<repo>[^/]+/[^/]+)/resolve/)(?P<revision>[^/]+)(?P<rest>/(?P<path>[^?#]+).*)")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as an address names it.

    Attributes:
        host: with the port, if there is one.
        repo: OWNER/REPO.
        revision: a branch, a tag or a commit.
        path: of the file in the repository, with "/" between its parts.
    """

    host: str
    repo: str
    revision: str
    path: str


def hub_file(url: str) -> HubFile | None:
    """The file at an address of the form .../OWNER/REPO/resolve/REVISION/PATH; None for any other address."""
    found = _RESOLVE.fullmatch(url)
    if found is None:
        return None
    return HubFile(urlsplit(url).netloc, *(unquote(found[part]) for part in ("repo", "revision", "path")))


def pinned(url: str, commit: str) -> str | None:
    """The same address at that commit; None for an address of another form."""
    found = _RESOLVE.fullmatch(url)
    return f"{found['base']}{commit}{found['rest']}" if found else None
