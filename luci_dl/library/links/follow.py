"""Links follow their model: made anew after it is installed again or moved, removed with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk.layout import staging_folder
from luci_dl.errors import LuciError, StorageError
from luci_dl.events import Emit, Unlinked, Warned
from luci_dl.library.installed import InstalledFile, InstalledModel, installed
from luci_dl.library.links.base import HubFile, Question
from luci_dl.library.links.hub_files import etag_of, hub_files
from luci_dl.library.links.link import changing_links, link_of, make, unmake
from luci_dl.library.links.record import Link
from luci_dl.library.links.standing import all_links, is_current
from luci_dl.library.links.targets import by_name
from luci_dl.sources.endpoints import unchecked_endpoints


@contextlib.contextmanager
def followed(folder: Path, reference: str, token: CancelToken, emit: Emit, now: Path | None = None) -> Iterator[None]:
    """Make the links anew of a model that was in the folder, and is there again, or in the folder `now`.

    No other process makes a link while the block runs, which may remove the model from the folder. What fails is a
    warning, and the next `luci clean` tries again.
    """
    with _holding_links(token):
        links = _links_of(folder, reference)
        model = _model(now or folder, reference) if links else None
        for link in links:
            _renew_or_warn(link, model, token, emit)
        yield


@contextlib.contextmanager
def dropped(folder: Path, reference: str, token: CancelToken, emit: Emit) -> Iterator[None]:
    """Remove the links of a model, which the block removes, and make none meanwhile. What fails is a warning."""
    with _holding_links(token):
        for link in _links_of(folder, reference):
            try:
                removed, _ = unmake(link)
                emit(Unlinked(reference, link.target, link.name, tuple(map(str, removed)), False))
            except LuciError as error:
                emit(Warned(f"the link of {reference} to {link.target} was not removed: {error.message}. {error.hint}"))
        yield


def would_drop(folder: Path, reference: str) -> Iterator[Unlinked]:
    """What `dropped` would remove."""
    for link in _links_of(folder, reference):
        yield Unlinked(reference, link.target, link.name, tuple(map(str, link.own_paths)), True)


@contextlib.contextmanager
def _holding_links(token: CancelToken) -> Iterator[None]:
    """`changing_links`, unless the lock cannot be written: then nobody can change links. Raises: Interrupted."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(StorageError):
            stack.enter_context(changing_links(token))
        yield


def renew(link: Link, model: InstalledModel | None, token: CancelToken) -> bool:
    """Make the link again for the model as it is now; without one, remove it. Within `changing_links`.

    Returns: whether it is made. Raises: LuciError.
    """
    if model is None or model.state == "missing":
        unmake(link)
        return False
    found = hub_files(model, None, unchecked_endpoints(os.environ), lambda _repo, _revision: "")
    same = {file.receipt.name for file in model.files if _is_same(link.hub.get(file.receipt.name), file)}
    hub = {**{name: place for name, place in link.hub.items() if name in same}, **found}
    target = by_name(link.target)
    question = Question(model, model.reference, link.given, hub, link.how)
    drafted = target.draft(question, link.root)
    replace(link, complete=False).write()  # so that what fails is not forgotten
    new = link_of(target, drafted, question)
    make(new, token)
    if new.path != link.path:
        unmake(link)
    return True


def _is_same(place: HubFile | None, file: InstalledFile) -> bool:
    """Whether the file still is the one on the Hub that it was when it was linked."""
    return place is not None and place.etag == etag_of(file)


def settle_all(token: CancelToken, emit: Emit) -> None:
    """Finish what a crash cut off: links half made, of an earlier version, or of a model that was removed.

    What fails is a warning. Raises: Interrupted.
    """
    with _holding_links(token):
        for link in all_links():
            token.check()
            if not os.path.isdir(staging_folder(link.folder)):
                continue  # its disk is not mounted
            model = _model(link.folder, link.reference)
            if model is None or not link.complete or not is_current(link):
                _renew_or_warn(link, model, token, emit)


def _renew_or_warn(link: Link, model: InstalledModel | None, token: CancelToken, emit: Emit) -> None:
    try:
        renew(link, model, token)
    except LuciError as error:
        what = f"the link of {link.reference} to {link.target}"
        emit(Warned(f"{what} was not renewed: {error.message}. `luci clean` tries again"))


def _model(folder: Path, reference: str) -> InstalledModel | None:
    return next((each for each in installed([folder]) if each.reference == reference), None)


def _links_of(folder: Path, reference: str) -> list[Link]:
    return [link for link in all_links() if link.is_of(folder, reference)]
