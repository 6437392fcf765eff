"""`luci link` and `luci unlink`: one copy of a model for several programs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.api.info import sound_model
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import load
from luci_dl.errors import ResolveError, UsageError
from luci_dl.events import Emit, Linked, Unlinked, Warned, ignore
from luci_dl.install.linking import asker, make_links, plan_link
from luci_dl.library.installed import installed
from luci_dl.library.links.entries import How
from luci_dl.library.links.link import changing_links, unmake
from luci_dl.library.links.place import has_links
from luci_dl.library.links.record import Link
from luci_dl.library.links.standing import Checked, all_links, examine
from luci_dl.library.links.targets import NAMES, target_of
from luci_dl.library.lookup import find_installed
from luci_dl.text import nearest, printable

__all__ = ["HOW", "NAMES", "Checked", "How", "link", "links", "unlink"]

HOW: Sequence[How] = get_args(How)


def link(
    target: str,
    *names: str,
    folder: Folder = None,
    how: How = "auto",
    given: str = "",
    offline: bool = False,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Linked]:
    """Link installed models to a program, as `luci link TARGET NAME...` does: all of them or none.

    Args:
        target: "hf", "ollama", "lmstudio", "llama-server", or the path of a folder.
        names: of the catalog, references as they were installed, or files.
        folder: look only into this models folder.
        how: how the bytes are shared; copied only when that is asked for.
        given: what the program should call the model, of which there must be one then.
        offline: ask no server.
        dry_run: change nothing.

    Returns: what was linked (or would be). Raises: ResolveError, for a model that is not installed, or that the program
        cannot have; UsageError; IntegrityError, if the model has changed, or something else has the name;
        StorageError; Interrupted; what `emit` raised.
    """
    program, root = target_of(target)
    if given and len(names) != 1:
        raise UsageError("--as can name only one model", "Link the others separately.")
    with EmitGuard(token, emit) as guard:
        models = [sound_model(name, folder, guard.token, guard.emit) for name in names]
        ask = asker(settings(folder), offline, guard.token, guard.emit)
        catalog = load(settings(folder).catalog)
        plans = [plan_link(program, root, model, given, how, catalog.find(model.reference), ask) for model in models]
        return make_links(plans, guard.token, guard.emit, dry_run=dry_run)


def unlink(
    target: str,
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Unlinked]:
    """Remove links, as `luci unlink TARGET NAME...` does; the models stay installed.

    Args: as of `link`; a name may also be what the program calls the model.

    Returns: what was removed (or would be). Raises: ResolveError, if there is no such link; UsageError; StorageError.
    """
    program, root = target_of(target)
    with EmitGuard(token, emit) as guard, _changing_links(guard.token, dry_run=dry_run):
        mine = [each for each in all_links() if each.target == program.NAME and root in (None, each.root)]
        found = [each for name in names for each in _named(name, mine, target, folder, guard.emit)]
        events = []
        for each in dict.fromkeys(found):
            guard.token.check()
            paths, left = list(each.own_paths), list[Path]()
            if not dry_run:
                paths, left = unmake(each)
            events.append(Unlinked(each.reference, each.target, each.name, tuple(map(str, paths)), dry_run))
            guard.emit(events[-1])
            for path in left:
                guard.emit(Warned(f"{path} stays: something else needs it, or it has changed since luci made it"))
    return events


def links(emit: Emit = ignore) -> list[Checked]:
    """All links that luci has made, and what is wrong with each. What cannot be read is emitted."""
    return list(examine(lambda _path, error: emit(Warned(f"{error.message}. {error.hint}"))))


def _changing_links(token: CancelToken, *, dry_run: bool) -> contextlib.AbstractContextManager[None]:
    """As `changing_links`, if there are any to change."""
    return contextlib.nullcontext() if dry_run or not has_links() else changing_links(token)


def _named(name: str, mine: Sequence[Link], target: str, folder: Folder, emit: Emit) -> list[Link]:
    """The links that the name means. Raises: ResolveError, if there is none."""
    meant = [each for each in mine if name in (each.name, each.given, each.reference)]
    if not meant:
        found, problems = settings(folder), Problems(emit)
        try:
            models = installed(folders_of(found, folder, problems), problems)
            references = {model.reference for model in find_installed(name, load(found.catalog), models)}
        except ResolveError:
            references = set()
        meant = [each for each in mine if each.reference in references]
    if not meant:
        near = nearest(name, [each.reference for each in mine], 1)
        guess = f"; did you mean {printable(near[0])}?" if near else ""
        raise ResolveError(f"{printable(name)} is not linked to {printable(target)}{guess}", "See: luci link --list")
    return meant
