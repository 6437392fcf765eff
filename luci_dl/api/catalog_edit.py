"""`luci catalog add` and `update`: changing a catalog file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from luci_dl.api.config import Settings
from luci_dl.cancel import CancelToken
from luci_dl.catalog import refresh
from luci_dl.catalog.catalog import BUILT_IN
from luci_dl.catalog.edit import Added, Change, add
from luci_dl.catalog.file import CatalogFile
from luci_dl.catalog.refresh import Refreshed
from luci_dl.events import Emit

__all__ = ["Added", "CatalogFile", "Change", "Refreshed", "add", "built_in_file", "own_file", "update"]


def own_file(settings: Settings) -> CatalogFile:
    """The user's own catalog file."""
    return CatalogFile(settings.own_catalog, settings.home / "catalog.lock")


def built_in_file(settings: Settings) -> CatalogFile:
    """The built-in catalog, in a checkout."""
    return CatalogFile(BUILT_IN, settings.home / "catalog.lock")


def update(
    file: CatalogFile,
    settings: Settings,
    names: Sequence[str],
    token: CancelToken,
    emit: Emit,
    *,
    pin: bool,
    dry_run: bool,
) -> Refreshed:
    """Compare the entries of a catalog with the Hub, and write what has changed, as `catalog.refresh.update`.

    Raises: UsageError; ResolveError, for an unknown name; StorageError; Interrupted. Problems with the Hub are part of
        the result.
    """
    from luci_dl.install.servers import network_for  # slow to load
    from luci_dl.sources.context import ResolveContext
    from luci_dl.sources.endpoints import endpoints_of

    options = settings.options
    endpoints = endpoints_of(os.environ, http_hosts=settings.http_hosts)
    context = ResolveContext(network_for(options), endpoints, token, emit, options.retries)
    return refresh.update(file, context, names, pin=pin, dry_run=dry_run)
