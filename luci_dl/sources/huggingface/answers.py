"""What the Hub's documents say: the facts about a repository, and the pages of its listing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from luci_dl.errors import NetworkError, ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Access, Content, Digest
from luci_dl.names import check_digest
from luci_dl.net.document import Document
from luci_dl.net.hub import hub_refusal
from luci_dl.net.links import next_link
from luci_dl.net.origin import host_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.reference import is_repo
from luci_dl.text import cut, printable, shown

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
class Facts:
    """What the Hub says about a repository at a revision.

    Attributes:
        commit: 40 hex digits.
        name: OWNER/REPO as the Hub spells it now; empty if it does not say.
        access: who may have the files.
        listed_for: who may see that the repository exists, and its documents.
    """

    commit: str
    name: str
    access: Access
    listed_for: Access


def facts_url(base: str, repo: str, revision: str) -> str:
    """Where a server says what a branch, tag or commit of a repository is."""
    return f"{base}/api/models/{repo}/revision/{quote(revision, safe='')}"


def tree_url(base: str, repo: str, commit: str) -> str:
    """Where it lists all files of a commit."""
    return f"{base}/api/models/{repo}/tree/{commit}?recursive=true"


def facts_of(document: Document) -> Facts:
    """Raises: ResolveError, for a refusal, too; NetworkError."""
    facts = object_in(document, accepted(document))
    name, private, gated = facts.get("id"), facts.get("private"), facts.get("gated")
    return Facts(
        _hex(document, "sha", facts.get("sha"), 40),
        name if isinstance(name, str) and is_repo(name) else "",
        "gated" if private or gated else "public" if (private, gated) == (False, False) else "unknown",
        "gated" if private else "public" if private is False else "unknown",
    )


def pages(context: ResolveContext, url: str) -> Iterator[tuple[Document, list[object]]]:
    """The pages of a listing, each found by the Link header of the one before."""
    for _ in range(MAX_PAGES):
        page = ask(context, url)
        entries = accepted(page)
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


def ask(context: ResolveContext, url: str) -> Document:
    """A document of the Hub, with the token if there is one. Raises: as `ResolveContext.document`."""
    return context.document(url, context.endpoints.headers_for(url))


def accepted(document: Document) -> object:
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


def files_in(listing: Iterable[tuple[Document, list[object]]]) -> dict[str, RepoFile]:
    """The files in the pages of a listing, by path. Raises: ResolveError, for an invalid one; what the pages raise."""
    files: dict[str, RepoFile] = {}
    for page, entries in listing:
        for facts in (object_in(page, entry) for entry in entries):
            if facts.get("type") != "file":
                continue
            file = _file(page, facts)
            if file.path in files:
                raise _invalid(page, f'it lists "{cut(file.path)}" twice')
            files[file.path] = file
            if len(files) > MAX_FILES:
                raise _invalid(page, f"it lists more than {MAX_FILES} files")
    return files


def _file(page: Document, facts: Mapping[str, object]) -> RepoFile:
    path, lfs = facts.get("path"), facts.get("lfs")
    if not isinstance(path, str) or not path:
        raise _invalid(page, f"expected the path of a file, found {shown(path)}")
    size = _size(page, path, facts.get("size"))
    if lfs is None:
        return RepoFile(path, size, None, {Digest.GIT_BLOB: _hex(page, path, facts.get("oid"), 40)})
    pointer = object_in(page, lfs)
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


def object_in(page: Document, value: object) -> Mapping[str, object]:
    """The value, if it is a JSON object. Raises: ResolveError."""
    if isinstance(value, dict):
        return value
    raise _invalid(page, f"expected an object, found {shown(value)}")


def _invalid(page: Document, what: str) -> ResolveError:
    return ResolveError(
        f"{host_of(page.url)} sent an invalid response: {what}{page.reason}",
        "Check HF_ENDPOINT, or try again later.",
    )
