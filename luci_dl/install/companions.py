"""The small files that belong to a model, such as its template and licences: fetched with it, kept in its receipt."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Mapping, Sequence

from luci_dl.cancel import run_cancellable
from luci_dl.errors import Interrupted, LuciError
from luci_dl.events import Warned, ignore
from luci_dl.install.context import InstallContext
from luci_dl.model import MAX_COMPANION, Artifact, Model
from luci_dl.net.documents import read_document, with_retries
from luci_dl.pool import run_side_by_side

_SIDE_BY_SIDE = 8
_RETRIES = 2
_PATIENCE_S = 5.0
"""Seconds to wait for a server on the LAN, before the registry is asked."""
_MOST_S = 15.0
"""Seconds to wait for all of them: the model is complete by then, and the next install tries again."""


class _TooLateError(Exception):
    pass


def fetch_companions(model: Model, known: Mapping[str, str], context: InstallContext) -> Mapping[str, str]:
    """`Model.kept` with the companions, of which some are `known` from a receipt.

    What cannot be had is left out, with a warning: the model works without it. Raises: Interrupted.
    """
    there = {each.name: known[each.name] for each in model.companions if each.name in known}
    missing = [each for each in model.companions if each.name not in there]
    fetched = _fetch_all(missing, context)
    if lost := len(missing) - len(fetched):
        what = f"{lost} of the small files of {model.reference} (template, parameters, licences)"
        context.emit(Warned(f"{what} could not be fetched; the model works without, and the next install tries again"))
    return {**model.kept, **there, **fetched}


def _fetch_all(missing: Sequence[Artifact], context: InstallContext) -> dict[str, str]:
    """Those of the files that can be had in time, by name, in base64. Raises: Interrupted."""
    fetched: dict[str, str] = {}
    deadline = time.monotonic() + _MOST_S

    def fetch(artifact: Artifact) -> None:
        if data := _fetched(artifact, context):
            fetched[artifact.name] = data

    def check_time() -> None:
        if time.monotonic() > deadline:
            raise _TooLateError

    with contextlib.suppress(_TooLateError):
        run_cancellable(lambda: run_side_by_side(fetch, missing, None, _SIDE_BY_SIDE), context.token, check_time)
    return dict(fetched)


def _fetched(artifact: Artifact, context: InstallContext) -> str | None:
    """The file in base64; None where it cannot be had, or is not what it should be. Raises: Interrupted."""
    first = context.asked_first(artifact)
    found = None if first is artifact else _fetched_from(first, context, _PATIENCE_S)
    return found or _fetched_from(artifact, context, _MOST_S)


def _fetched_from(artifact: Artifact, context: InstallContext, patience: float) -> str | None:
    url = artifact.urls[0]
    client, retries = context.network.client_for(url), min(_RETRIES, context.options.retries)
    try:
        document = with_retries(
            lambda: read_document(client, url, artifact.headers, MAX_COMPANION, artifact.repository),
            url,
            context.token,
            ignore,
            retries,
            patience,
        )
    except Interrupted:
        raise
    except LuciError:
        return None
    is_right = document.is_success and hashlib.sha256(document.body).hexdigest() == artifact.sha256
    return base64.b64encode(document.body).decode() if is_right else None
