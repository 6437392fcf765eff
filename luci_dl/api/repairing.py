"""Models with wrong files, as they are to be installed again."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken
from luci_dl.catalog import catalog
from luci_dl.config.settings import Settings
from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.events import Emit, Failed, Verified
from luci_dl.install.batch import install_models
from luci_dl.install.servers import copies_for, network_for, resolve_words
from luci_dl.library.installed import InstalledModel, model_of
from luci_dl.model import Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from luci_dl.sources.base import source_of
from luci_dl.sources.endpoints import endpoints_of
from luci_dl.sources.selection import FileSelection
from luci_dl.text import printable


def repair(
    models: Sequence[InstalledModel], wrong: Sequence[Verified], settings: Settings, token: CancelToken, emit: Emit
) -> LuciError | None:
    """Install the models that have a wrong file again; what is right of them stays.

    Returns: the first error, which has been told like all others. Raises: UsageError; StorageError; Interrupted.
    """
    paths = {verdict.path for verdict in wrong}
    unproved = {verdict.path for verdict in wrong if verdict.state == "truncated" and not verdict.expected}
    options = replace(settings.options, force=True)
    network = network_for(os.environ, options)
    plans: list[Plan] = []
    errors: list[LuciError] = []
    for model in models:
        if paths.isdisjoint(str(model.folder / name) for name in model.names):
            continue
        recalled = _recalled(model, unproved, settings)
        try:
            plans.append(Plan(_again(model, recalled, settings, options, network, token, emit), model.folder))
        except (ResolveError, NetworkError) as error:
            emit(Failed(model.reference, error.message, error.hint, error.exit_code))
            errors.append(error)
    if plans:
        copies = copies_for(os.environ, settings, options, emit)
        outcomes = install_models(plans, options, token, emit, network, copies)
        errors += [outcome.error for outcome in outcomes if outcome.error]
    return next(iter(errors), None)


def _again(
    model: InstalledModel,
    recalled: Model | None,
    settings: Settings,
    options: Options,
    network: Network,
    token: CancelToken,
    emit: Emit,
) -> Model:
    """What to install: by the receipts, the very bytes that were there; what the catalog knows, as it knows it now.

    Raises: ResolveError; NetworkError; UsageError; Interrupted.
    """
    source = source_of(model.reference)
    receipts_suffice = source.RECEIPT_IS_ENOUGH if source else not catalog.load(settings.catalog).find(model.reference)
    if recalled and receipts_suffice:
        return recalled
    resolved = resolve_words([model.reference], settings, FileSelection(), options, network, token, emit)
    if {artifact.name for artifact in resolved[0].artifacts} == set(model.names):
        return resolved[0]
    if recalled:  # its file was given another name
        return recalled
    raise ResolveError(
        f"{printable(model.reference)} stands for other files by now than those in {model.folder}",
        "Remove it, and install it anew.",
    )


def _recalled(model: InstalledModel, unproved: Collection[str], settings: Settings) -> Model | None:
    """What was installed, where the receipts of all files are there and know an address.

    Of an `unproved` file not even the digest in the receipt can be right.
    """
    recalled = model_of(model)
    if model.lost or not all(urlsplit(artifact.urls[0]).scheme in ("https", "http") for artifact in recalled.artifacts):
        return None
    artifacts = tuple(
        replace(artifact, size=None, sha256=None) if str(model.folder / artifact.name) in unproved else artifact
        for artifact in recalled.artifacts
    )
    return endpoints_of(os.environ, settings.mirrors).with_mirrors(replace(recalled, artifacts=artifacts))
