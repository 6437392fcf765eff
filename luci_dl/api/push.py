"""`luci push`: installed models to a bucket."""

from __future__ import annotations

import os
from collections.abc import Sequence

from luci_dl.api.carried import Noted
from luci_dl.api.config import Folder, settings
from luci_dl.api.info import sound_model
from luci_dl.cancel import CancelToken
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Failed, Moved, ignore
from luci_dl.install.servers import network_for
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import endpoints_of
from luci_dl.sources.s3.place import parse_prefix


def push(
    *names: str,
    to: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Send installed models to a bucket, as `luci push NAME... s3://BUCKET/PREFIX` does. Usable in any thread.

    Each can be installed from the `folder` of its event then, without a digest.

    Args:
        names: of the catalog, references as they were installed, or files.
        to: s3://BUCKET/PREFIX.
        folder: push only from this models folder.
        dry_run: send nothing.

    Returns: what was pushed (or would be), or was there already. Raises: ResolveError, for a model that is not
        installed, a missing bucket, or wrong credentials; IntegrityError, for one that has changed, or if another model
        is there; UsageError, also without the extra `s3`; NetworkError; StorageError; Interrupted; what `emit` raised.
    """
    with Noted(token, emit) as noted:
        noted.check(push_all(names, to, folder, noted.token, noted.emit, dry_run=dry_run))
    return noted.carried


def push_all(
    names: Sequence[str], to: str, folder: Folder, token: CancelToken, emit: Emit, *, dry_run: bool
) -> LuciError | None:
    """Push the models, or emit what that would do. Returns: the first error, emitted. Raises: as `push`."""
    prefix, found = parse_prefix(to), settings(folder)
    from luci_dl.transport import push as pushing  # loads obstore

    network = network_for(found.options)
    network.client_for(prefix)  # which may be offline
    endpoints = endpoints_of(os.environ, found.mirrors, found.http_hosts)
    context = ResolveContext(network, endpoints, token, emit, found.options.retries)
    models = dict.fromkeys(sound_model(name, folder, token, emit) for name in names)
    first: LuciError | None = None
    for plan in [pushing.plan_push(model, prefix, context) for model in models]:
        is_there = plan.is_current and not plan.missing
        pushed = Moved(
            plan.model.reference,
            plan.addresses,
            str(plan.model.folder),
            plan.place,
            "already" if is_there else "pushed",
            plan.model.size,
            plan.size,
            dry_run,
        )
        try:
            if not dry_run:
                pushing.push(plan, token, emit)
            emit(pushed)
        except LuciError as error:
            token.check()
            emit(Failed(plan.model.reference, error.message, error.hint, error.exit_code))
            first = first or error
    return first
