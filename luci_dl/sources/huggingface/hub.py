"""The Hub's API: a revision of a repository becomes a commit, and the files of that commit with sizes and digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.events import Warned
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Content, Digest
from luci_dl.names import check_digest
from luci_dl.net.document import Document
from luci_dl.net.hub import hub_refusal
from luci_dl.net.links import next_link
from luci_dl.net.origin import host_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.reference import is_repo
from luci_dl.text import cut, did_you_mean, nearest, printable, shown

MAX_PAGES = 1000
MAX_FILES = 100_000
"""Files of one listing. The largest repositories have a tenth of that."""
MAX_SIZE = 1 << 50
"""Bytes of one file; a larger size in a listing is refused."""


@frozen
class RepoFile:
    """A file of a repository.

    Attributes:
        path: in the repository, as the Hub sends it, unchecked.
        sha256: of an LFS file, else None.
        digests: a git blob SHA-1 of any other file.
    """

    path: str
    size: int
    sha256: str | None
    digests: Mapping[Digest, str]

    def digest(self, digest: Digest) -> str | None:
        """The digest of that kind, as far as the Hub states or implies it."""
        content = Content(self.sha256, self.size, self.digests) if self.sha256 else None
        return content.found(digest) if content else self.digests.get(digest)


@frozen
class Listing:
    """The files of a repository at one commit.

    Attributes:
        repo: OWNER/REPO as the Hub spells it; for a renamed repository the name that was asked for.
        commit: 40 hex digits.
        files: sorted by path.
        base: base address of the server that sent the listing: the Hub's, also for the LAN, or a mirror's.
    """

    repo: str
    commit: str
    files: tuple[RepoFile, ...]
    base: str


def is_sound(path: str) -> bool:
    """True if the path can be part of an address."""
    return path.isprintable() and not {"", ".", ".."} & set(path.split("/"))


def artifact_of(listing: Listing, file: RepoFile, name: str, context: ResolveContext) -> Artifact:
    """The file at that commit, to be installed as `name`. Its path has to be sound."""
    path = f"/{listing.repo}/resolve/{listing.commit}/{quote(file.path)}"
    urls = context.endpoints.hub_urls(path, listing.base)
    headers = context.endpoints.headers_for(urls[0])
    role = "projector" if is_projector(file.path) else "model"
    return Artifact(name, urls, file.size, file.sha256, file.digests, headers=headers, role=role)


def is_projector(path: str) -> bool:
    """True for the file that a vision model needs beside it."""
    name = path.rpartition("/")[2].casefold()
    return name.endswith(".gguf") and "mmproj" in name


def list_files(context: ResolveContext, repo: str, revision: str = "main") -> Listing:
    """List the files of OWNER/REPO at the commit that `revision` (a branch, a tag or a commit) names now.

    Mirrors and the LAN are asked only when the Hub cannot be reached.
    Raises: ResolveError, also for an invalid listing; NetworkError; Interrupted.
    """
    hub, mirrors = context.endpoints.hub, context.endpoints.mirrors
    what = f"the files of {repo} and their digests are"
    listing = context.ask(hub, mirrors, what, lambda asking, base: _list_at(asking, base, repo, revision))
    return replace(listing, base=hub) if listing.base in context.endpoints.lan else listing


def _list_at(context: ResolveContext, base: str, repo: str, revision: str) -> Listing:
    document = _get(context, f"{base}/api/models/{repo}/revision/{quote(revision, safe='')}")
    if document.headers.get("x-error-code") == "RevisionNotFound":
        raise _no_revision(context, base, repo, revision, document)
    facts = _object(document, _accepted(document))
    commit = _hex(document, "sha", facts.get("sha"), 40)
    name = facts.get("id")
    current = name if isinstance(name, str) and is_repo(name) else repo
    if current.casefold() == repo.casefold():
        repo = current
    else:
        context.emit(Warned(f"{repo} was renamed to {current}"))
    files: dict[str, RepoFile] = {}
    for page, entries in _pages(context, f"{base}/api/models/{current}/tree/{commit}?recursive=true"):
        for facts in (_object(page, entry) for entry in entries):
            if facts.get("type") != "file":
                continue
            file = _file(page, facts)
            if file.path in files:
                raise _invalid(page, f'it lists "{cut(file.path)}" twice')
            files[file.path] = file
            if len(files) > MAX_FILES:
                raise _invalid(page, f"it lists more than {MAX_FILES} files")
    return Listing(repo, commit, tuple(files[path] for path in sorted(files)), base)


def _pages(context: ResolveContext, url: str) -> Iterator[tuple[Document, list[object]]]:
    """The pages of a listing, each found by the Link header of the one before."""
    for _ in range(MAX_PAGES):
        page = _get(context, url)
        entries = _accepted(page)
        if not isinstance(entries, list):
            raise _invalid(page, f"expected a list of files, found {shown(entries)}")
        yield page, entries
        link = next_link(page.headers.get("link", ""))
        if link is None:
            return
        url = _next_page(page, link)
    raise _invalid(page, f"it has more than {MAX_PAGES} pages")


def _next_page(page: Document, link: str) -> str:
    """The address of the page after `page`: its query at the same place, for mirrors pass on links to the Hub."""
    query = link.partition("#")[0].partition("?")[2].strip()
    if not query:
        raise _invalid(page, f"its next page is at {cut(link)}, which has no query")
    return urlsplit(page.url)._replace(query=query).geturl()


def _get(context: ResolveContext, url: str) -> Document:
    return context.document(url, context.endpoints.headers_for(url))


def _accepted(document: Document) -> object:
    """The content of a response with status 200. Raises: ResolveError, for a refusal; NetworkError."""
    where, status = printable(document.url), document.status
    if document.is_success:
        return document.json()
    if refusal := hub_refusal(document.url, status, document.headers):
        raise refusal
    found = f"{status}{document.reason}"
    if status in (401, 403):
        raise ResolveError(f"{where} denies access ({found})", "Set HF_TOKEN to a valid token.")
    if 400 <= status < 500:
        raise ResolveError(f"{where} refused the request ({found})", "Check the name, and HF_ENDPOINT if it is set.")
    raise NetworkError(f"{where} failed ({found})", "Try again later.")


def _no_revision(context: ResolveContext, base: str, repo: str, revision: str, document: Document) -> LuciError:
    """The Hub's refusal, with similar branches and tags."""
    refusal = hub_refusal(document.url, document.status, document.headers)
    try:
        refs = _get(context, f"{base}/api/models/{repo}/refs")
        facts = _object(refs, _accepted(refs))
        kinds = [facts.get("branches"), facts.get("tags")]
        names = [str(_object(refs, ref).get("name")) for kind in kinds if isinstance(kind, list) for ref in kind]
    except (ResolveError, NetworkError):
        names = []
    message, hint = (refusal.message, refusal.hint) if refusal else (f"{repo} has no such revision", "")
    return NotFound(message + did_you_mean(*nearest(revision, names[:1000], 3)), hint)


def _file(page: Document, facts: Mapping[str, object]) -> RepoFile:
    path, lfs = facts.get("path"), facts.get("lfs")
    if not isinstance(path, str) or not path:
        raise _invalid(page, f"expected the path of a file, found {shown(path)}")
    size = _size(page, path, facts.get("size"))
    if lfs is None:
        return RepoFile(path, size, None, {Digest.GIT_BLOB: _hex(page, path, facts.get("oid"), 40)})
    pointer = _object(page, lfs)
    if _size(page, path, pointer.get("size", size)) != size:
        raise _invalid(page, f"{cut(path)} has two sizes: {size} and {shown(pointer.get('size'))}")
    return RepoFile(path, size, _hex(page, path, pointer.get("oid"), 64), {})


def _size(page: Document, path: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE:
        return value
    raise _invalid(page, f"expected the size of {cut(path)}, found {shown(value)}")


def _hex(page: Document, what: str, value: object, digits: int) -> str:
    if not isinstance(value, str):
        raise _invalid(page, f"expected {digits} hex digits for {cut(what)}, found {shown(value)}")
    try:
        return check_digest(value, digits, cut(what))
    except UsageError as error:
        raise _invalid(page, error.message) from error


def _object(page: Document, value: object) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise _invalid(page, f"expected an object, found {shown(value)}")


def _invalid(page: Document, what: str) -> ResolveError:
    return ResolveError(
        f"{host_of(page.url)} sent an invalid response: {what}{page.reason}",
        "Check HF_ENDPOINT, or try again later.",
    )
