"""What the Hub says of the files of a catalog by now: sizes, digests, commits. What is known is never unlearnt."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from luci_dl.catalog.toml_text import Values
from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.model import lfs_pointer_sha1
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.hub import Listing, list_files
from luci_dl.sources.huggingface.pin import HubFile, hub_file
from luci_dl.sources.url import HUB, parse_address
from luci_dl.text import printable

Revision = tuple[str, str]
"""OWNER/REPO, and a branch, tag or commit of it."""


@dataclass(frozen=True)
class Change:
    """A fact of one file that is another one now; `old` is None where nothing was known."""

    model: str
    file: str
    key: str
    old: str | int | None
    new: str | int


@dataclass(frozen=True)
class Answers:
    """What the Hub said of the repositories it was asked about, and why it said nothing of others."""

    listings: Mapping[Revision, Listing]
    errors: Mapping[Revision, LuciError]


@dataclass
class Refreshed:
    """A catalog after it was compared with the Hub's answers.

    Attributes:
        models: the values of all of them, with what changed.
        problems: why files were left as they were.
        compared, left, elsewhere: how many files were compared, could not be, and are not on the Hub.
    """

    models: list[dict[str, Any]]
    changes: list[Change] = field(default_factory=list)
    problems: list[LuciError] = field(default_factory=list)
    compared: int = 0
    left: int = 0
    elsewhere: int = 0


def ask_hub(models: Sequence[Values], web: ResolveContext) -> Answers:
    """Ask about every repository that has a file of the models, one after the other. Raises: Interrupted.

    A mirror is not asked: there is nothing yet that could prove its word.
    """
    web = replace(web, endpoints=replace(web.endpoints, mirrors=()))
    found = [_on_hub(file, web) for model in models for file in model["file"]]
    listings: dict[Revision, Listing] = {}
    errors: dict[Revision, LuciError] = {}
    for revision in dict.fromkeys((file.repo, file.revision) for file in found if file):
        try:
            listings[revision] = list_files(web, *revision)
        except ResolveError as error:
            errors[revision] = error
        except NetworkError as error:
            errors[revision] = error
            break  # the others are at the same server
    return Answers(listings, errors)


def refresh(
    models: Sequence[Values], names: Collection[str], answers: Answers, web: ResolveContext, *, pin: bool
) -> Refreshed:
    """The models, with what the answers say of the files of those that have one of the names.

    Args:
        pin: write the commit of files that have none, too.
    """
    done = Refreshed([copy.deepcopy(dict(model)) for model in models])
    for model in done.models:
        for file in model["file"] if model["name"] in names else ():
            hub = _on_hub(file, web)
            if hub is None:
                done.elsewhere += 1
            elif found := answers.listings.get((hub.repo, hub.revision)):
                _compare(model["name"], file, hub, found, done, pin=pin)
            else:
                done.left += 1
    done.problems += answers.errors.values()
    return done


def _compare(name: str, file: dict[str, Any], hub: HubFile, found: Listing, done: Refreshed, *, pin: bool) -> None:
    try:
        facts = _facts(file, hub, found, pin=pin)
    except ResolveError as error:
        where = f"model {printable(name)}, file {printable(file['filename'])}"
        done.problems.append(ResolveError(f"{where}: {error.message}", error.hint))
        done.left += 1
        return
    done.compared += 1
    for key, new in facts.items():
        old = file.get(key)
        if old != new and not (isinstance(old, str) and old.lower() == new):
            file[key] = new
            done.changes.append(Change(name, file["filename"], key, old, new))


def _on_hub(file: Values, web: ResolveContext) -> HubFile | None:
    found = hub_file(parse_address(file["url"]).url)
    return found if found and found.host in (HUB, urlsplit(web.endpoints.hub).netloc) else None


def _facts(file: Values, hub: HubFile, found: Listing, *, pin: bool) -> dict[str, str | int]:
    """What there is to say of the file, in the keys of the catalog. Raises: ResolveError."""
    path = printable(hub.path)
    there = next((each for each in found.files if each.path == hub.path), None)
    if there is None:
        raise ResolveError(f"{hub.repo} has no {path} any more", "The entry is left as it was: correct its url.")
    facts: dict[str, str | int] = {"size": there.size}
    if there.sha256:
        facts["sha256"] = there.sha256
        if "lfs_pointer_sha1" in file:
            facts["lfs_pointer_sha1"] = lfs_pointer_sha1(there.sha256, there.size)
    elif "sha256" in file or "lfs_pointer_sha1" in file:
        if file.get("size") in (None, there.size):
            return {}  # as far as can be told nothing has changed
        raise ResolveError(
            f"{path} has another size by now, and the Hub does not tell its SHA-256", "The entry is left as it was."
        )
    if pin or "commit" in file:
        facts["commit"] = found.commit
    return facts
