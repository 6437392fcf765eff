"""Links to other programs: planned for a model, made for several or none, and made after an install."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.errors import LuciError, NetworkError
from luci_dl.events import Emit, Failed, Linked, Warned
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledModel, changed_meanwhile, check_unchanged, installed
from luci_dl.library.links import link as links
from luci_dl.library.links.base import Draft, Question, Target
from luci_dl.library.links.entries import How
from luci_dl.library.links.hub_files import AskCommit, hub_files
from luci_dl.library.links.link import changing_links, link_of, make, unmake
from luci_dl.library.links.record import Link
from luci_dl.library.links.standing import all_links
from luci_dl.library.links.targets import target_of
from luci_dl.model import Model
from luci_dl.plan import Plan
from luci_dl.sources.endpoints import unchecked_endpoints


@frozen
class LinkPlan:
    """A link that can be made."""

    link: Link
    draft: Draft
    model: InstalledModel


def plan_link(
    program: Target, root: Path, model: InstalledModel, given: str, how: How, entry: Model | None, ask: AskCommit
) -> LinkPlan:
    """The link of a model to a program.

    Args:
        root: the program's folder.
        given: what the program should call the model; empty for its usual name.
        entry: of the model in the catalog.
        ask: for the commit of a file on the Hub, where that is not known.

    Raises: ResolveError, when the program cannot have the model; IntegrityError, when something else has its name
        there; StorageError; NetworkError; UsageError; Interrupted.
    """
    places = hub_files(model, entry, unchecked_endpoints(os.environ), ask if program.NEEDS_HUB else unknown_commit)
    question = Question(model, model.reference, given, places, how)
    drafted = program.draft(question, root)
    made = link_of(program, drafted, question)
    links.check(made)
    return LinkPlan(made, drafted, model)


def unknown_commit(_repo: str, _revision: str) -> str:
    """An `AskCommit` that asks nobody."""
    return ""


def asker(settings: Settings, offline: bool, token: CancelToken, emit: Emit) -> AskCommit:
    """Asks the Hub for the commit of a revision, which receipts of older versions do not have."""

    def ask(repo: str, revision: str) -> str:
        from luci_dl.install.servers import context_for, resolve_context  # few links need a server
        from luci_dl.sources.huggingface.hub import list_files

        context = context_for(settings, replace(settings.options, offline=offline, retries=1), token, emit)
        if context.network.offline:
            raise NetworkError(
                f"the commit of {repo} that was installed is not known, and the Hub cannot be asked offline",
                "Run it without --offline, or install the model again, which remembers the commit.",
            )
        return list_files(resolve_context(settings, context), repo, revision).commit

    return ask


def make_links(plans: Sequence[LinkPlan], token: CancelToken, emit: Emit, *, dry_run: bool = False) -> list[Linked]:
    """Make all links, or none, and emit what was made. Raises: LuciError."""
    made = [plan.link for plan in plans] if dry_run else _make_all(plans, token)
    events = [_linked(each, plan.draft, dry_run=dry_run) for each, plan in zip(made, plans, strict=True)]
    for plan, event in zip(plans, events, strict=True):
        emit(event)
        for note in plan.draft.notes:
            emit(Warned(note))
    return events


def _make_all(plans: Sequence[LinkPlan], token: CancelToken) -> list[Link]:
    made: list[Link] = []
    with changing_links(token):
        known = {each.path for each in all_links()}
        try:
            for plan in plans:
                token.check()
                check_unchanged(plan.model)
                made += [make(plan.link, token)]
        except BaseException:
            for each in made:
                if each.path not in known:
                    with contextlib.suppress(LuciError):  # its record stays, and `clean` tries again
                        unmake(each)
            raise
    return made


def _installed_now(plan: Plan) -> InstalledModel:
    """The model as it is in its folder: by its reference, or by another one that it shares all files with.

    Raises: LockedError, if another process has removed it; StorageError.
    """
    names = {artifact.name for artifact in plan.artifacts}
    found = [
        each for each in installed([plan.folder]) if each.reference == plan.reference or names.issubset(each.names)
    ]
    if not found:
        raise changed_meanwhile(plan.reference)
    return min(found, key=lambda each: (each.reference != plan.reference, names != set(each.names)))


def _linked(made: Link, drafted: Draft, *, dry_run: bool) -> Linked:
    ways = dict.fromkeys(entry.how for entry in made.entries if entry.kind == "file" and entry.how)
    paths = tuple(str(entry.path) for entry in made.entries if not entry.shared)
    how = ", ".join(ways)
    return Linked(made.reference, made.target, made.name, str(made.root), paths, how, drafted.usage, dry_run)


def link_installed(plan: Plan, targets: Sequence[str], token: CancelToken, emit: Emit) -> LuciError | None:
    """Link a model that was just installed, or was installed already, to these programs and folders.

    Returns: the first error, which was emitted like all others: the model is installed all the same.
    """
    first: LuciError | None = None
    for word in targets:
        try:
            model = _installed_now(plan)
            program, root = target_of(word)
            make_links([plan_link(program, root, model, "", "auto", plan.model, unknown_commit)], token, emit)
        except LuciError as error:
            what = f"{plan.reference} is installed, but not linked to {word}: {error.message}"
            emit(Failed(plan.reference, what, error.hint, error.exit_code))
            first = first or error
    return first
