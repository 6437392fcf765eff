"""Single attempts at small responses, and the retries around them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.errors import Interrupted
from luci_dl.events import Emit, Retrying
from luci_dl.formats.texts import MAX_TEXT, Text, recognised
from luci_dl.model import Artifact
from luci_dl.net.document import Document, web_page
from luci_dl.net.origin import host_of
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, Remedy, RetryBudget, Silent, retry_after_s
from luci_dl.net.situation import Situation
from luci_dl.net.status import TRY_LATER, is_temporary
from luci_dl.plan import Remote

if TYPE_CHECKING:
    from luci_dl.net.client import Client

T = TypeVar("T")


def read_document(client: Client, url: str, headers: Mapping[str, str], at_most: int, repository: str) -> Document:
    """One attempt at a document, whatever its status. Arguments and errors as of `Client.document`.

    Raises: AttemptFailed, for a status that may pass, too.
    """
    document = client.document(url, headers, at_most, repository)
    asked_to_wait = retry_after_s(document.headers)
    if is_temporary(document.status, asked_to_wait):
        reason = f"{host_of(document.url)} returned {document.status}{document.reason}"
        raise AttemptFailed(reason, asked_to_wait, remedy=Remedy.FEWER, hint=TRY_LATER)
    document.refuse_web_page()
    return document


def ask_about(client: Client, artifact: Artifact) -> Remote:
    """What its server says about the file, without its content, in one attempt.

    Raises: as `Client.get`; NetworkError, when a web page comes in place of a file whose name is unknown.
    """
    situation = Situation(artifact.name or "the file", artifact.size, artifact.provable)
    request = RangeRequest(artifact.urls[0], 0, None, plain=True)
    response = client.get(request, situation, artifact.headers, artifact.repository)
    with closing(response):
        beginning = memoryview(bytearray(MAX_TEXT))
        if not artifact.name and recognised(bytes(beginning[: response.read_into(beginning)])) is Text.PAGE:
            raise web_page(request.url, " instead of a file")
    return response.remote


def read_beginning(client: Client, artifact: Artifact, at_most: int) -> bytes:
    """The first bytes of the file, in one attempt, whatever its server says beside. Raises: as `Client.get`."""
    end = at_most if artifact.size is None else min(at_most, artifact.size)
    situation = Situation(artifact.name, artifact.size, artifact.provable)
    request = RangeRequest(artifact.urls[0], 0, end)
    response = client.get(request, situation, artifact.headers, artifact.repository)
    found, memory = 0, memoryview(bytearray(end))
    with closing(response):
        while count := response.read_into(memory[found:]):
            found += count
    return bytes(memory[:found])


def with_retries(
    attempt: Callable[[], T], url: str, token: CancelToken, emit: Emit, retries: int, patience: float | None = None
) -> T:
    """Make attempts until one succeeds; `retries` consecutive failures are allowed, and `patience` seconds in all.

    Raises: NetworkError; Interrupted; what an attempt raises, except AttemptFailed.
    """
    budget, host, limit = RetryBudget(retries), host_of(url), math.inf if patience is None else patience
    deadline = time.monotonic() + limit

    def check_time() -> None:
        if time.monotonic() > deadline:
            raise Silent(f"{host} has not answered for {limit:g} s")

    while True:
        try:
            return run_cancellable(attempt, token, check_time)
        except AttemptFailed as failure:
            check_time()
            delay = min(budget.record_failure(failure, host), max(0.0, deadline - time.monotonic()))
            emit(Retrying(host, failure.reason, delay, budget.failures, budget.retries))
            if token.wait(delay):
                raise Interrupted(token.signum) from None
