"""Installs models again that have wrong files."""

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
from luci_dl.install.context import InstallContext
from luci_dl.install.servers import install_context, resolve_words
from luci_dl.library.installed import InstalledModel, model_of
from luci_dl.model import Model
from luci_dl.plan import Plan
from luci_dl.sources.base import source_of
from luci_dl.sources.endpoints import endpoints_of
from luci_dl.sources.selection import FileSelection
from luci_dl.text import has_hidden_query, printable


def repair(
    models: Sequence[InstalledModel], wrong: Sequence[Verified], settings: Settings, token: CancelToken, emit: Emit
) -> LuciError | None:
    """Install the models again that have a wrong file; their right files stay.

    Returns: the first error, which was emitted like all others. Raises: UsageError; StorageError; Interrupted.
    """
    context = install_context(settings, replace(settings.options, force=True), token, emit)
    paths = {verdict.path for verdict in wrong}
    unproved = {verdict.path for verdict in wrong if verdict.state == "truncated" and not verdict.expected}
    plans: list[Plan] = []
    errors: list[LuciError] = []
    for model in models:
        if paths.isdisjoint(str(model.folder / name) for name in model.names):
            continue
        by_receipts = _by_receipts(model, unproved, settings)
        try:
            plans.append(Plan(_resolve_again(model, by_receipts, settings, context), model.folder))
        except (ResolveError, NetworkError) as error:
            emit(Failed(model.reference, error.message, error.hint, error.exit_code))
            errors.append(error)
    outcomes = install_models(plans, context) if plans else []
    errors += [outcome.error for outcome in outcomes if outcome.error]
    return next(iter(errors), None)


def _resolve_again(
    model: InstalledModel, by_receipts: Model | None, settings: Settings, context: InstallContext
) -> Model:
    """What to install: a model of the catalog or of a registry as it is now, any other as its receipts describe it.

    Raises: ResolveError; NetworkError; UsageError; Interrupted.
    """
    source = source_of(model.reference)
    receipts_suffice = source.RECEIPT_IS_ENOUGH if source else not catalog.load(settings.catalog).find(model.reference)
    if by_receipts and receipts_suffice:
        return by_receipts
    resolved = resolve_words([model.reference], settings, FileSelection(), context)
    if {artifact.name for artifact in resolved[0].artifacts} == set(model.names):
        return resolved[0]
    if by_receipts:  # its file was renamed with -o
        return by_receipts
    message = f"{printable(model.reference)} now has other files than those in {model.folder}"
    raise ResolveError(message, "Remove it, and install it again.")


def _by_receipts(model: InstalledModel, unproved: Collection[str], settings: Settings) -> Model | None:
    """The model that was installed, if every file has a receipt with a whole address.

    The digest in the receipt of an `unproved` file may be wrong, so it is left out.
    """
    known = model_of(model)
    if model.lost or not all(map(_is_whole_address, (artifact.urls[0] for artifact in known.artifacts))):
        return None
    artifacts = tuple(
        replace(artifact, size=None, sha256=None) if str(model.folder / artifact.name) in unproved else artifact
        for artifact in known.artifacts
    )
    endpoints = endpoints_of(os.environ, settings.mirrors, settings.http_hosts)
    return endpoints.with_mirrors(replace(known, artifacts=artifacts))


def _is_whole_address(url: str) -> bool:
    return urlsplit(url).scheme in ("https", "http", "s3") and not has_hidden_query(url)
