"""The Python API: what `luci install` and `luci clean` do, as functions that raise, with events. No signal handlers."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl import cleaner
from luci_dl.artifact import Model
from luci_dl.cancel import CancelToken
from luci_dl.config import Settings, load_settings
from luci_dl.copies import Copies
from luci_dl.disk.transaction import ignore
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.installer import install_models
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from luci_dl.recall import installed_by
from luci_dl.sources import catalog
from luci_dl.sources.choice import Choice
from luci_dl.sources.endpoints import endpoints_of
from luci_dl.sources.resolve import resolve
from luci_dl.sources.web import Web
from luci_dl.text import shown


def install(
    *words: str,
    folder: str | os.PathLike[str] | None = None,
    output: str | None = None,
    sha256: str | None = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Path]:
    """Install models, as `luci install WORD...` does. Usable in any thread.

    Args:
        words: names, aliases, groups ("core models"), addresses.
        folder: the models folder; by default the one that the command line uses.
        output, sha256: file name and digest, for one reference to a single file.
        options: how; by default as the command line, with the settings of config.json.
        token: cancel it from elsewhere to stop; what was not finished is rolled back then.
        emit: called with each event, from any thread.

    Returns: the paths of all files of all models, in the order of the words.
    Raises: LuciError, the first one; models that did not fail are installed all the same (but not after a full disk).
    """
    settings = load_settings(os.environ, None if folder is None else Path(folder))
    options = options or settings.options
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f'expected words like "llama3.2", found {shown(words)}', "install(*words), not a list.")
    split = [part for word in words for part in word.split()]
    token, network = token or CancelToken(), network_for(os.environ, options)
    copies = copies_for(os.environ, settings, options, emit)
    choice = Choice(output=output, sha256=sha256, unverified=options.unverified)
    models = resolve_words(split, settings, choice, options, network, token, emit)
    plans = [Plan(model, settings.models_dir) for model in models]
    outcomes = install_models(plans, options, token, emit, network, copies)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return [Path(path) for outcome in outcomes if outcome.installed for path in outcome.installed.paths]


def network_for(environ: Mapping[str, str], options: Options, log: Emit | None = None) -> Network:
    """The servers, unless an option or HF_HUB_OFFLINE keeps luci from them; `log` is told of each request."""
    return Network(options.limit_rate, offline=options.offline or is_offline(environ), log=log)


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether the environment keeps luci from asking servers."""
    return environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def copies_for(environ: Mapping[str, str], settings: Settings, options: Options, emit: Emit) -> Copies:
    """Where files may be taken from instead. Raises: UsageError, for a `--from` that leads nowhere."""
    folders = tuple(dict.fromkeys((settings.models_dir, *settings.folders)))
    return Copies(environ, folders, options.copies, caches=options.adopt, emit=emit)


def resolve_words(
    words: Sequence[str],
    settings: Settings,
    choice: Choice,
    options: Options,
    network: Network,
    token: CancelToken,
    emit: Emit,
) -> list[Model]:
    """The models that the words stand for, by the catalog and the servers that the settings name.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """
    endpoints = endpoints_of(os.environ, settings.mirrors)
    folders = (settings.models_dir, *settings.folders)
    recall = functools.partial(installed_by, folders=folders)
    web = Web(network, endpoints, token, emit, options.retries, recall)
    return resolve(words, catalog.load(settings.catalog), choice, web)


def clean(
    folder: str | os.PathLike[str] | None = None,
    *,
    targets: Sequence[str] | None = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> cleaner.Report:
    """Roll forward what a crash cut off, then remove orphans, as `luci clean` does. Usable in any thread.

    Args:
        folder: the models folder; by default every one that the command line knows.
        targets: names below the folder, to limit it to.

    Returns: what was removed (or would be, in a dry run), and the bytes that it freed.
    Raises: StorageError; Interrupted.
    """
    settings = load_settings(os.environ, None if folder is None else Path(folder))
    folders = [settings.models_dir] if folder is not None else [settings.models_dir, *settings.folders]
    total = cleaner.Report(0, 0, 0)
    for path in dict.fromkeys(folders):
        report = cleaner.clean(path, targets, dry_run, token or CancelToken(), emit)
        total = replace(
            total,
            removed=total.removed + report.removed,
            freed=total.freed + report.freed,
            left_alone=total.left_alone + report.left_alone,
            failed=total.failed + report.failed,
        )
    return total
