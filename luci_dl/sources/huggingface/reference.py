"""References to the Hub: all their spellings are parsed into one `HubReference`, with one canonical text."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from luci_dl.errors import ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.sources.pages import HUB, HUB_IGNORED, HUB_SITES, parameters
from luci_dl.sources.url import parse_address
from luci_dl.text import printable

SHAPE = "hf:OWNER/REPO, hf:OWNER/REPO:QUANT or hf:OWNER/REPO/FILE, with @REVISION after REPO unless it is main"

ADDRESS = f"https://{HUB}"

_OTHER_KINDS = ("datasets", "spaces")
_PAGES = ("tree", "blob", "resolve", "raw", "commit")
_REPO = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_TEXT = re.compile(
    r"(?P<repo>[^/@:]+/[^/@:]+)(?:@(?P<revision>refs/[^/:]+/[^/:]+|[^/:]+))?(?::(?P<quant>[^/:]+)|/(?P<path>.*))?"
)
_PLAIN = re.compile(r"/(?:(?:datasets|spaces)/[^/]+(?:/[^/]+)?|[^/]+)/(?:resolve|raw|blob)/")
_ANCHOR = re.compile("#(?!sha256=).*", re.IGNORECASE | re.DOTALL)
COMMIT = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)
_REFS = re.compile(r"refs/[^/]+/[^/]+")


@frozen
class HubReference:
    """A repository, or files of it.

    Attributes:
        repo: OWNER/REPO.
        revision: a branch, a tag or a commit.
        quant: "Q4_K_M" and the like; empty when none is named.
        path: of a file or a folder in the repository; empty for all of it.
        sha256: the digest that an address carried.
    """

    repo: str
    revision: str = "main"
    quant: str = ""
    path: str = ""
    sha256: str | None = None

    @property
    def text(self) -> str:
        """The canonical form, the same for all spellings."""
        revision = quote(self.revision, safe="/" if _REFS.fullmatch(self.revision) else "")
        suffix = f":{self.quant}" if self.quant else self.path and f"/{self.path}"
        return f"hf:{self.repo}{'' if self.revision == 'main' else f'@{revision}'}{suffix}"


def is_repo(text: str) -> bool:
    """True for OWNER/REPO in characters that the Hub allows."""
    return _REPO.fullmatch(text) is not None and ".." not in text


def is_reference(word: str, hub: str = ADDRESS) -> bool:
    """True for an `hf:` reference and for an address at the Hub, or at the server `hub` that takes its place.

    The address of a file in a dataset, a space or an old repository without owner is not one: it is a plain address.
    """
    word = word.casefold()
    if word.startswith(("hf:", *(f"{site}/" for site in HUB_SITES))):
        return True
    base = hub.casefold().rstrip("/")
    scheme, _, rest = word.partition("://")
    place, _, path = rest.partition("/")
    if word.startswith(f"{base}/"):
        path = word.removeprefix(f"{base}/")
    elif scheme not in ("http", "https") or place.rpartition("@")[2] not in HUB_SITES:
        return False
    return not _PLAIN.match(f"/{path}")


def parse(word: str, hub: str = ADDRESS) -> HubReference:
    """Parse a word for which `is_reference` is true with the same `hub`.

    Raises: UsageError, for a malformed reference; ResolveError, for a dataset or a space.
    """
    if word[:3].casefold() == "hf:":
        return _checked(word, *_of_text(word, word[3:]))
    address = parse_address(_ANCHOR.sub("", word if "://" in word else f"https://{word}"))
    if address.headers:
        raise UsageError("a Hub address takes no user name and password", "Leave them out, and set HF_TOKEN.")
    base = urlsplit(hub).path.rstrip("/") if word.casefold().startswith(hub.casefold()) else ""
    split = urlsplit(address.url)
    parts = [unquote(part) for part in split.path.removeprefix(base).strip("/").split("/")]  # "%2f" splits none
    if len(parts) > 2 and parts[0] not in _OTHER_KINDS and ("://" in word or parts[2] in _PAGES):
        repo, revision, quant, path = _of_page(word, parts)
    else:
        repo, revision, quant, path = _of_text(word, "/".join(parts))
    path = _file_shown(word, split.query, quant, path)
    return _checked(word, repo, revision, quant, path, sha256=address.sha256)


def _of_text(word: str, text: str) -> tuple[str, str, str, str]:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UsageError(f"expected {SHAPE}, found {printable(word)}")
    repo, revision, quant, path = found.groups(default="")
    return repo, unquote(revision) or "main", quant, path.rstrip("/")


def _of_page(word: str, parts: list[str]) -> tuple[str, str, str, str]:
    """Parse OWNER/REPO/tree/REVISION/FOLDER and the like."""
    owner, repo, page, *rest = parts
    if page not in _PAGES:
        raise UsageError(f"{printable(word)} is not a page of files", f"Give the repository's own page, or {SHAPE}.")
    length = 3 if rest[:1] == ["refs"] else 1
    return f"{owner}/{repo}", "/".join(rest[:length]) or "main", "", "/".join(rest[length:])


def _file_shown(word: str, query: str, quant: str, path: str) -> str:
    """The path of the file that the parameters of a page select, or else `path`."""
    shown = ""
    for name, text in parameters(query, HUB_IGNORED):
        if name != "show_file_info" or shown:
            raise UsageError(
                f'{printable(word.partition("?")[0])} is followed by "?{printable(name)}=", '
                "which may select something that luci does not know",
                f"Leave it out, or give {SHAPE}.",
            )
        shown = unquote_plus(text.partition("=")[2])
    if shown and (quant or not f"{shown}/".startswith(f"{path}/" if path else "")):
        raise UsageError(
            f"{printable(word.partition('?')[0])} shows {printable(shown)}, but its address also names "
            f"{printable(quant or path)}",
            f"Give {SHAPE}.",
        )
    return shown or path


def _checked(word: str, repo: str, revision: str, quant: str, path: str, sha256: str | None = None) -> HubReference:
    shown = printable(word)
    owner = repo.partition("/")[0].casefold()
    if owner in _OTHER_KINDS:
        raise ResolveError(
            f"{shown} is one of the Hub's {owner}, but luci installs models",
            f"For one file of it: {ADDRESS}/{owner}/OWNER/REPO/resolve/main/FILE",
        )
    if not is_repo(repo):
        raise UsageError(f"{shown}: expected OWNER/REPO as on the Hub", f"Valid references: {SHAPE}.")
    if not word.isprintable() or not f"{revision}{quant}{path}".isprintable():
        raise UsageError(f"{shown} has a control character in it", "Check the reference.")
    if {".", ".."} & {revision, *path.split("/")}:
        raise UsageError(f'{shown} has ".." or "." where a name is expected', "Give the reference without it.")
    return HubReference(repo, revision, quant, path, sha256)
