"""Updates a catalog from the Hub: sizes, digests and commits. A known value is never replaced by nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from luci_dl.cancel import run_cancellable
from luci_dl.catalog.edit import Change, Values, values_of, with_changes
from luci_dl.catalog.entries import read_entries, words_of
from luci_dl.catalog.file import CatalogFile
from luci_dl.errors import LuciError, NetworkError, ResolveError, UsageError
from luci_dl.model import Digest, Model
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.hub import Listing, list_files
from luci_dl.sources.huggingface.reference import HubReference, is_reference, parse
from luci_dl.text import did_you_mean, nearest, printable

Revision = tuple[str, str]
"""OWNER/REPO, and a branch, tag or commit of it."""


Answers = Mapping[Revision, Listing | LuciError]
"""The files of each repository that the Hub was asked about, or why it did not list them."""


@dataclass
class Refreshed:
    """The result of comparing a catalog with the Hub.

    Attributes:
        changes: in the order of the catalog.
        problems: why files could not be compared.
        compared, left, elsewhere: how many files were compared, could not be compared, and are not on the Hub.
    """

    changes: list[Change] = field(default_factory=list)
    problems: list[LuciError] = field(default_factory=list)
    compared: int = 0
    left: int = 0
    elsewhere: int = 0


def update(
    catalog_file: CatalogFile,
    context: ResolveContext,
    names: Sequence[str] = (),
    *,
    pin: bool = False,
    dry_run: bool = False,
) -> Refreshed:
    """Compare the entries with the Hub, and write what has changed.

    Args:
        names: only these models, by name or alias.
        pin: write the commit of files that have none, too.

    Raises: UsageError; ResolveError, for an unknown name; StorageError; Interrupted. A failing Hub is a `problem` only.
    """
    models = _named(read_entries(catalog_file.text(), catalog_file.shown), names, catalog_file)
    selected = {model.reference for model in models}
    answers = ask_hub([values for values in values_of(catalog_file.text()) if values["name"] in selected], context)

    def write() -> Refreshed:
        with catalog_file.locked():
            text = catalog_file.text()  # another process may have written since
            read_entries(text, catalog_file.shown)
            result = compare(values_of(text), selected, answers, context, pin=pin)
            context.token.check()
            if result.changes and not dry_run:
                catalog_file.write(with_changes(text, result.changes))
            return result

    return run_cancellable(write, context.token)  # it waits for the lock


def ask_hub(models: Sequence[Values], context: ResolveContext) -> Answers:
    """List every repository that has a file of the models, one after the other. Raises: Interrupted.

    Mirrors are not asked, because nothing proves the digests that they state.
    """
    context = replace(context, endpoints=replace(context.endpoints, mirrors=()))
    found = [_on_hub(file, context) for model in models for file in model["file"]]
    answers: dict[Revision, Listing | LuciError] = {}
    for revision in dict.fromkeys((file.repo, file.revision) for file in found if file):
        try:
            answers[revision] = list_files(context, *revision)
        except ResolveError as error:
            answers[revision] = error
        except NetworkError as error:
            answers[revision] = error
            break  # all others are at the same server
    return answers


def compare(
    models: Sequence[Values], names: Collection[str], answers: Answers, context: ResolveContext, *, pin: bool
) -> Refreshed:
    """Compare the files of the named models with the Hub's answers; `pin` as in `update`."""
    result = Refreshed()
    listings = {revision: answer for revision, answer in answers.items() if isinstance(answer, Listing)}
    files = {revision: {file.path: file for file in listing.files} for revision, listing in listings.items()}
    for model in models:
        for file in model["file"] if model["name"] in names else ():
            hub = _on_hub(file, context)
            if hub is None:
                result.elsewhere += 1
                continue
            revision = hub.repo, hub.revision
            if revision not in listings:
                result.left += 1
                continue
            try:
                facts = _facts(file, hub, files[revision].get(hub.path))
            except ResolveError as error:
                where = f"model {printable(model['name'])}, file {printable(file['filename'])}"
                result.problems.append(ResolveError(f"{where}: {error.message}", error.hint))
                result.left += 1
                continue
            if facts and (pin or "commit" in file):
                facts["commit"] = listings[revision].commit
            result.compared += 1
            result.changes += _changes(model["name"], file, facts)
    result.problems += [answer for answer in answers.values() if isinstance(answer, LuciError)]
    return result


def _changes(name: str, file: Values, facts: Mapping[str, str | int]) -> list[Change]:
    old = {key: value.lower() if isinstance(value, str) else value for key, value in file.items()}
    return [
        Change(name, file["filename"], key, file.get(key), new) for key, new in facts.items() if old.get(key) != new
    ]


def _on_hub(file: Values, context: ResolveContext) -> HubReference | None:
    url, hub = file["url"], context.endpoints.hub
    with contextlib.suppress(ResolveError, UsageError):  # a page without files, for example
        found = parse(url, hub) if is_reference(url, hub) else None
        return found if found and found.path else None
    return None


def _facts(file: Values, hub: HubReference, found: RepoFile | None) -> dict[str, str | int]:
    """The Hub's facts about a file, by catalog keys; none if they add nothing. Raises: ResolveError."""
    path = printable(hub.path)
    if found is None:
        raise ResolveError(f"{hub.repo} no longer has {path}", "The entry was not changed: correct its url.")
    stated = {digest.key: value for digest in Digest if (value := found.digest(digest))}
    known = [digest.key for digest in Digest if digest.key in file]
    if not found.sha256 and any(key not in stated for key in known):
        if file.get("size") in (None, found.size):
            return {}  # nothing shows a change
        raise ResolveError(
            f"the size of {path} has changed, and the Hub does not state its SHA-256", "The entry was not changed."
        )
    return {"size": found.size, **{key: stated[key] for key in stated if key in ("sha256", *known)}}


def _named(models: Sequence[Model], names: Sequence[str], catalog_file: CatalogFile) -> Sequence[Model]:
    """Raises: ResolveError"""
    if not names:
        return models
    known = {word.casefold(): model for model in models for word in words_of(model)}
    for name in names:
        if name.casefold() not in known:
            guess = did_you_mean(*nearest(name, known, 3))
            message = f'there is no model "{printable(name)}" in {catalog_file.shown}{guess}'
            raise ResolveError(message, "`luci catalog list` shows its models.")
    return [known[name.casefold()] for name in names]
