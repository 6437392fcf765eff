"""The Hub's API: a revision of a repository becomes a commit, and the files of that commit with sizes and digests."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError
from luci_dl.events import Warned
from luci_dl.frozen import frozen
from luci_dl.model import Access, Artifact
from luci_dl.net.document import Document
from luci_dl.net.hub import hub_refusal
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.answers import (
    RepoFile,
    accepted,
    ask,
    facts_of,
    facts_url,
    files_in,
    object_in,
    pages,
    tree_url,
)
from luci_dl.text import did_you_mean, nearest


@frozen
class Listing:
    """The files of a repository at one commit.

    Attributes:
        repo: OWNER/REPO as the Hub spells it; for a renamed repository the name that was asked for.
        commit: 40 hex digits.
        files: sorted by path.
        base: base address of the server that sent the listing: the Hub's, also for the LAN, or a mirror's.
        access: who may have the files. The word of a mirror, or of the LAN, about that does not count.
    """

    repo: str
    commit: str
    files: tuple[RepoFile, ...]
    base: str
    access: Access = "unknown"


def is_sound(path: str) -> bool:
    """True if the path can be part of an address."""
    return path.isprintable() and not {"", ".", ".."} & set(path.split("/"))


def artifact_of(listing: Listing, file: RepoFile, name: str, context: ResolveContext) -> Artifact:
    """The file at that commit, to be installed as `name`. Its path has to be sound."""
    path = f"/{listing.repo}/resolve/{listing.commit}/{quote(file.path)}"
    urls = context.endpoints.hub_urls(path, listing.base)
    headers = context.endpoints.headers_for(urls[0])
    role = "projector" if is_projector(file.path) else "model"
    return Artifact(name, urls, file.size, file.sha256, file.digests, headers=headers, role=role, access=listing.access)


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
    document = ask(context, facts_url(base, repo, revision))
    if document.headers.get("x-error-code") == "RevisionNotFound":
        raise _no_revision(context, base, repo, revision, document)
    facts = facts_of(document)
    current = facts.name or repo
    if current.casefold() == repo.casefold():
        repo = current
    else:
        context.emit(Warned(f"{repo} was renamed to {current}"))
    files = files_in(pages(context, tree_url(base, current, facts.commit)))
    access: Access = facts.access if base == context.endpoints.hub else "unknown"
    return Listing(repo, facts.commit, tuple(files[path] for path in sorted(files)), base, access)


def _no_revision(context: ResolveContext, base: str, repo: str, revision: str, document: Document) -> LuciError:
    """The Hub's refusal, with similar branches and tags."""
    refusal = hub_refusal(document.url, document.status, document.headers)
    try:
        refs = ask(context, f"{base}/api/models/{repo}/refs")
        facts = object_in(refs, accepted(refs))
        kinds = [facts.get("branches"), facts.get("tags")]
        names = [str(object_in(refs, ref).get("name")) for kind in kinds if isinstance(kind, list) for ref in kind]
    except (ResolveError, NetworkError):
        names = []
    message, hint = (refusal.message, refusal.hint) if refusal else (f"{repo} has no such revision", "")
    return NotFound(message + did_you_mean(*nearest(revision, names[:1000], 3)), hint)
