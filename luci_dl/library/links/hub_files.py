"""Where installed files are on the Hub: by their receipts, by the catalog, and by what the Hub itself says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

from luci_dl.disk import fs
from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledFile, InstalledModel
from luci_dl.library.links.base import HubFile
from luci_dl.model import Digest, Model
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.huggingface.reference import is_reference, is_repo, parse
from luci_dl.sources.pages import HUB_SITES

_PATH = re.compile(r".*?/?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+|refs/[^/]+/[^/]+)/(?P<path>[^?#]+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")

AskCommit = Callable[[str, str], str]
"""Returns the commit that a revision of a repository names now; empty if it cannot be found out."""


@frozen
class _Place:
    repo: str
    revision: str
    path: str


def hub_files(
    model: InstalledModel, entry: Model | None, endpoints: Endpoints, ask_commit: AskCommit
) -> dict[str, HubFile]:
    """For each file that is on the Hub, by its name below the models folder, where it is there.

    Args:
        entry: of the model in the catalog.

    Raises: StorageError.
    """
    found = {}
    for file in model.files:
        place = next(_places(file, model.reference, entry, endpoints), None)
        if place is None:
            continue
        known = place.revision if _COMMIT.fullmatch(place.revision) else file.receipt.commit
        commit = known or ask_commit(place.repo, place.revision)
        if commit:
            revision = _revision(model.reference, place, endpoints)
            found[file.receipt.name] = HubFile(place.repo, commit, place.path, revision, etag_of(file))
    return found


def _places(file: InstalledFile, reference: str, entry: Model | None, endpoints: Endpoints) -> Iterator[_Place]:
    """Where the file may be, the surest first."""
    artifacts = entry.artifacts if entry else ()
    urls = [file.receipt.url, *(url for each in artifacts if each.name == file.receipt.name for url in each.urls)]
    for url in urls:
        parts, match = urlsplit(url), _PATH.fullmatch(urlsplit(url).path)
        is_hub = parts.netloc in HUB_SITES or any(url.startswith(f"{base}/") for base in endpoints.hubs)
        if is_hub and match and is_repo(unquote(match["repo"])):
            yield _Place(unquote(match["repo"]), unquote(match["revision"]), unquote(match["path"]))
    if is_reference(reference, endpoints.hub):
        try:
            meant = parse(reference, endpoints.hub)
        except LuciError:
            return
        if file.receipt.name.startswith(f"{meant.repo}/"):
            yield _Place(meant.repo, meant.revision, file.receipt.name.removeprefix(f"{meant.repo}/"))


def _revision(reference: str, place: _Place, endpoints: Endpoints) -> str:
    """The name by which the user chose the commit; empty if that was the commit itself."""
    revision = "main"
    if is_reference(reference, endpoints.hub):
        try:
            revision = parse(reference, endpoints.hub).revision
        except LuciError:
            revision = "main"
    elif not _COMMIT.fullmatch(place.revision):
        revision = place.revision
    return "" if _COMMIT.fullmatch(revision) else revision


def etag_of(file: InstalledFile) -> str:
    """What the Hub calls its bytes: the SHA-256 of a file in LFS, else its git blob SHA-1. Raises: StorageError."""
    known = file.receipt
    if known.proof != Digest.GIT_BLOB.proof or Digest.GIT_BLOB.start is None:
        return known.sha256
    blob, source = Digest.GIT_BLOB.start(known.size), fs.open_to_read(file.path)
    at = 0
    while data := fs.read_at(source, 1 << 20, at):
        blob.update(data)
        at += len(data)
    return blob.hexdigest()
