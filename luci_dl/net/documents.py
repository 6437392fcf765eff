"""Small answers, read whole: what the interfaces of hubs and registries say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.errors import Interrupted
from luci_dl.events import Emit, Retrying
from luci_dl.net.answers import TRY_LATER, Document, is_passing, retry_after
from luci_dl.net.network import Network
from luci_dl.net.retry import AttemptFailed, RetryBudget


def fetch_document(
    network: Network,
    url: str,
    headers: Mapping[str, str],
    *,
    token: CancelToken,
    emit: Emit,
    retries: int = 10,
    repository: str = "",
    at_most: int,
) -> Document:
    """Ask until there is an answer that will not be another one a little later, whatever its status.

    Args:
        headers: sent to the host of `url` alone, never to where it redirects.
        retries: failures in a row that are forgiven.
        repository: as in an artifact: what `url` begins with, in a registry.
        at_most: bytes of the largest answer to be read.

    Raises: NetworkError; Interrupted.
    """
    client, patience = network.client_for(url), RetryBudget(retries)
    while True:
        try:
            return run_cancellable(lambda: _attempt(lambda: client.document(url, headers, at_most, repository)), token)
        except AttemptFailed as failure:
            host = urlsplit(url).netloc
            delay = patience.failed(failure, host)
            emit(Retrying(host, failure.reason, delay, patience.failures, patience.retries))
            if token.wait(delay):
                raise Interrupted(token.signum) from None


def _attempt(ask: Callable[[], Document]) -> Document:
    document = ask()
    if is_passing(document.status):
        reason = f"{urlsplit(document.url).netloc} answers {document.status}"
        raise AttemptFailed(reason, retry_after(document.headers), busy=True, hint=TRY_LATER)
    return document
