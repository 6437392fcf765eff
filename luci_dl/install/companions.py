"""The small files that belong to a model, such as its template and licences: fetched with it, kept in its receipt."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from luci_dl.cancel import run_cancellable
from luci_dl.errors import LuciError
from luci_dl.events import Warned
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact, Model
from luci_dl.net.documents import read_document
from luci_dl.net.retry import AttemptFailed
from luci_dl.pool import run_side_by_side

MOST_EACH, MOST = 1 << 20, 4 << 20
"""Size limits of one file, and of all, in bytes."""
_SIDE_BY_SIDE = 8


def fetch_companions(model: Model, context: InstallContext) -> Mapping[str, str]:
    """`Model.kept` with the companions. What cannot be had is left out, with a warning: the model works without it.

    Raises: Interrupted.
    """
    if not model.companions:
        return model.kept
    small = [each for each in model.companions if (each.size or 0) <= MOST_EACH]
    if sum(each.size or 0 for each in small) > MOST:
        small = []

    def fetch(artifact: Artifact) -> tuple[str, str] | None:
        url = artifact.urls[0]
        client = context.network.client_for(url)
        try:
            document = read_document(client, url, artifact.headers, (artifact.size or 0) + 1, artifact.repository)
        except (AttemptFailed, LuciError):
            return None
        is_right = document.is_success and hashlib.sha256(document.body).hexdigest() == artifact.sha256
        return (artifact.name, base64.b64encode(document.body).decode()) if is_right else None

    found = run_cancellable(lambda: run_side_by_side(fetch, small, None, _SIDE_BY_SIDE), context.token)
    fetched = dict(filter(None, found))
    if missing := len(model.companions) - len(fetched):
        what = f"{missing} of the small files of {model.reference} (template, parameters, licences)"
        context.emit(Warned(f"{what} could not be kept with it; the model itself is complete"))
    return {**model.kept, **fetched}
