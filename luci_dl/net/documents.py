"""Small responses, read completely: what hubs and registries say about their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.errors import Interrupted
from luci_dl.events import Emit, Retrying
from luci_dl.net.document import Document
from luci_dl.net.judge import Situation
from luci_dl.net.network import Network
from luci_dl.net.origin import host_of
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, Remedy, RetryBudget, retry_after_s
from luci_dl.net.status import TRY_LATER, is_temporary
from luci_dl.plan import Remote

if TYPE_CHECKING:
    from luci_dl.net.client import Client

T = TypeVar("T")


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
    """Request a document, whatever its status, and retry while the failure may be temporary.

    Args:
        headers: sent only to the host of `url`, not to the targets of redirects.
        retries: consecutive failures allowed.
        repository: as in an artifact: the beginning of `url`, in a registry.
        at_most: bytes that the document may have.

    Raises: NetworkError; Interrupted.
    """
    client = network.client_for(url)
    return _with_retries(lambda: _attempt(client, url, headers, at_most, repository), url, token, emit, retries)


def ask_about(
    network: Network, url: str, headers: Mapping[str, str], *, token: CancelToken, emit: Emit, retries: int
) -> Remote:
    """What the server says about the file at `url`, without its content. Arguments as in `fetch_document`.

    Raises: LuciError of the kinds that a fetch raises.
    """
    client = network.client_for(url)

    def ask() -> Remote:
        response = client.get(RangeRequest(url, 0, None, None), Situation("the file"), headers)
        response.close()
        return response.remote

    return _with_retries(ask, url, token, emit, retries)


def _with_retries(ask: Callable[[], T], url: str, token: CancelToken, emit: Emit, retries: int) -> T:
    budget = RetryBudget(retries)
    while True:
        try:
            return run_cancellable(ask, token)
        except AttemptFailed as failure:
            host = host_of(url)
            delay = budget.record_failure(failure, host)
            emit(Retrying(host, failure.reason, delay, budget.failures, budget.retries))
            if token.wait(delay):
                raise Interrupted(token.signum) from None


def _attempt(client: Client, url: str, headers: Mapping[str, str], at_most: int, repository: str) -> Document:
    document = client.document(url, headers, at_most, repository)
    asked_to_wait = retry_after_s(document.headers)
    if is_temporary(document.status, asked_to_wait):
        reason = f"{host_of(document.url)} returned {document.status}{document.reason}"
        raise AttemptFailed(reason, asked_to_wait, remedy=Remedy.FEWER, hint=TRY_LATER)
    document.refuse_web_page()
    return document
