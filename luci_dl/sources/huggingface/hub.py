"""The Hub's interface: a repository's revision becomes a commit, and that commit's files with sizes and digests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urljoin, urlsplit

from luci_dl.errors import LuciError, NetworkError, ResolveError, UsageError
from luci_dl.events import Warned
from luci_dl.names import check_digest
from luci_dl.net.hub import hub_refusal
from luci_dl.net.response import Document
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.reference import is_repo
from luci_dl.text import nearest, printable, shown

MOST_PAGES = 1000
MOST_FILES = 100_000
"""Of one listing. The largest repositories have a tenth of that."""
MOST_BYTES = 1 << 50
"""Of one file: a size beyond is a slip or a lie."""

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')


@dataclass(frozen=True)
class RepoFile:
    """A file of a repository. Either digest is known.

    Attributes:
        path: in the repository, as the Hub says; nothing is checked of it.
        sha256: of an LFS file; blob_sha1: git blob SHA-1 of any other.
    """

    path: str
    size: int
    sha256: str | None
    blob_sha1: str | None


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit.

    Attributes:
        repo: OWNER/REPO in the Hub's own spelling; as asked where it has another name by now.
        commit: 40 hex digits.
        files: by path.
        by: the base address of who told it: the Hub's, or a mirror's.
    """

    repo: str
    commit: str
    files: tuple[RepoFile, ...]
    by: str


def listing(web: ResolveContext, repo: str, revision: str = "main") -> Listing:
    """The files of OWNER/REPO at the commit that `revision` (a branch, a tag or a commit) means now.

    The Hub's word is the one that counts; its mirrors are asked only when it cannot be reached at all.
    Raises: ResolveError, also for a listing that makes no sense; NetworkError; Interrupted.
    """
    hub, mirrors = web.endpoints.hub, web.endpoints.mirrors
    if not mirrors:
        return _listing_of(web, hub, repo, revision)
    hasty = replace(web, retries=min(web.retries, 1))  # there are others to ask
    reasons = []
    for base in dict.fromkeys((hub, *mirrors)):
        try:
            found = _listing_of(hasty, base, repo, revision)
        except NetworkError as error:
            reasons.append(error.message)
        except ResolveError as error:
            if base == hub:
                raise
            reasons.append(f"the mirror {base}: {error.message}")
        else:
            if base != hub:
                web.emit(
                    Warned(f"{reasons[0]}; what is in {repo}, and with which digests, is the word of {base} alone")
                )
            return found
    raise NetworkError("\n".join(reasons), "Try again later, or name other mirrors in LUCI_MIRRORS.")


def _listing_of(web: ResolveContext, base: str, repo: str, revision: str) -> Listing:
    document = _get(web, f"{base}/api/models/{repo}/revision/{quote(revision, safe='')}")
    if document.headers.get("x-error-code") == "RevisionNotFound":
        raise _no_revision(web, base, repo, revision, document)
    facts = _table(document, _granted(document))
    commit = _hex(document, "sha", facts.get("sha"), 40)
    told = facts.get("id")
    now = told if isinstance(told, str) and is_repo(told) else repo
    if now.casefold() == repo.casefold():
        repo = now
    else:
        web.emit(Warned(f"{repo} is called {now} by now"))
    files: dict[str, RepoFile] = {}
    for page, entries in _pages(web, f"{base}/api/models/{now}/tree/{commit}?recursive=true"):
        for facts in (_table(page, entry) for entry in entries):
            if facts.get("type") != "file":
                continue
            file = _file(page, facts)
            if file.path in files:
                raise _nonsense(page, f'two files are called "{_cut(file.path)}"')
            files[file.path] = file
            if len(files) > MOST_FILES:
                raise _nonsense(page, f"it lists more than {MOST_FILES} files")
    return Listing(repo, commit, tuple(files[path] for path in sorted(files)), base)


def _pages(web: ResolveContext, url: str) -> Iterator[tuple[Document, list[object]]]:
    """The listing's pages, as their Link headers lead from one to the next."""
    for _ in range(MOST_PAGES):
        page = _get(web, url)
        entries = _granted(page)
        if not isinstance(entries, list):
            raise _nonsense(page, f"expected a list of files, found {shown(entries)}")
        yield page, entries
        link = _NEXT.search(page.headers.get("link", ""))
        if link is None:
            return
        url = _next_page(page, link[1])
    raise _nonsense(page, f"it has more than {MOST_PAGES} pages")


def _next_page(page: Document, link: str) -> str:
    """The address of the page behind `page`, at the same server."""
    try:
        url = urljoin(page.url, link)
        here, there = urlsplit(page.url), urlsplit(url)
    except ValueError:
        raise _nonsense(page, f"it goes on at {_cut(link)}, which is no address") from None
    if (here.scheme, here.netloc) != (there.scheme, there.netloc) or not link.isprintable():
        raise _nonsense(page, f"it goes on at another server: {_cut(link)}")
    return url


def _get(web: ResolveContext, url: str) -> Document:
    return web.document(url, web.endpoints.headers_for(url))


def _granted(document: Document) -> object:
    """What the answer holds. Raises: ResolveError, for what the Hub says instead; NetworkError."""
    where, status = printable(document.url), document.status
    if status == 200:
        return document.json()
    if refusal := hub_refusal(document.url, status, document.headers):
        raise refusal
    if status in (401, 403):
        raise ResolveError(f"{where} answers {status}: it does not let us in", "Set HF_TOKEN to a token that holds.")
    if 400 <= status < 500:
        raise ResolveError(f"{where} answers {status}", "Check the name, and HF_ENDPOINT if it is set.")
    raise NetworkError(f"{where} answers {status}, which is not how the Hub answers", "Try again later.")


def _no_revision(web: ResolveContext, base: str, repo: str, revision: str, document: Document) -> LuciError:
    """What the Hub said, with the branches and tags that come near."""
    refusal = hub_refusal(document.url, document.status, document.headers)
    try:
        refs = _get(web, f"{base}/api/models/{repo}/refs")
        facts = _table(refs, _granted(refs))
        kinds = [facts.get("branches"), facts.get("tags")]
        names = [str(_table(refs, ref).get("name")) for kind in kinds if isinstance(kind, list) for ref in kind]
    except (ResolveError, NetworkError):
        names = []
    near = ", ".join(map(printable, nearest(revision, names[:1000], 3)))
    message, hint = (refusal.message, refusal.hint) if refusal else (f"{repo} has no such revision", "")
    return ResolveError(message + (f"; did you mean {near}?" if near else ""), hint)


def _file(page: Document, facts: Mapping[str, object]) -> RepoFile:
    path, lfs = facts.get("path"), facts.get("lfs")
    if not isinstance(path, str) or not path:
        raise _nonsense(page, f"expected the path of a file, found {shown(path)}")
    size = _size(page, path, facts.get("size"))
    if lfs is None:
        return RepoFile(path, size, None, _hex(page, path, facts.get("oid"), 40))
    pointer = _table(page, lfs)
    if _size(page, path, pointer.get("size", size)) != size:
        raise _nonsense(page, f"{_cut(path)} has two sizes: {size} and {shown(pointer.get('size'))}")
    return RepoFile(path, size, _hex(page, path, pointer.get("oid"), 64), None)


def _size(page: Document, path: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_BYTES:
        return value
    raise _nonsense(page, f"expected the size of {_cut(path)}, found {shown(value)}")


def _hex(page: Document, what: str, value: object, digits: int) -> str:
    try:
        return check_digest(value if isinstance(value, str) else shown(value), digits, _cut(what))
    except UsageError as error:
        raise _nonsense(page, error.message) from error


def _table(page: Document, value: object) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise _nonsense(page, f"expected a table, found {shown(value)}")


def _nonsense(page: Document, what: str) -> ResolveError:
    return ResolveError(
        f"{urlsplit(page.url).netloc} says what cannot be: {what}",
        "Nothing was installed. Check HF_ENDPOINT, or try later.",
    )


def _cut(text: str) -> str:
    return printable(text)[:200]
