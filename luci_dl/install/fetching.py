"""Fills a part from servers.

If the bytes are wrong, each mirror is tried alone before the install fails. An address is tried again if the part was
resumed, if a response may have been cut short without a sign of it, or if the responses disagreed on the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.events import Progress, Started, Warned
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact

Report = Callable[[Progress], None]


def fetch_into(part: Part, context: InstallContext, report: Report) -> int:
    """Fetch what is missing of the part. `report` gets all progress, beside the events.

    Returns: the bytes that came from servers. Raises: IntegrityError; NetworkError; ResolveError; StorageError;
        Interrupted.
    """
    artifact, before, resumed = part.artifact, part.fetched, part.received > 0
    context.emit(Started(artifact.name, part.size, part.received))
    _fetch(artifact, part, context, report)
    if len(artifact.urls) > 1 or resumed or _may_pass(part):
        _try_again(artifact, part, context, report)
    if not part.provable:
        from luci_dl.formats.table import format_of

        digest = part.verify(context.token)
        begins = "header" if format_of(artifact.name).check else "first bytes"
        checked = f"nothing but its length and {begins} was checked"
        context.emit(Warned(f"{artifact.name}: no digest is known, so {checked}; its SHA-256 is {digest}"))
    return part.fetched - before


def _fetch(artifact: Artifact, part: Part, context: InstallContext, report: Report) -> None:
    if part.received == part.size:
        return  # a kept part may be complete, and its server unreachable
    from luci_dl.net.fetch import Fetch  # slow to load

    url, network, retries = artifact.urls[0], context.network, context.options.retries
    host = urlsplit(url).netloc
    fetch = Fetch(
        network.client_for(url),
        artifact,
        part,
        retries=min(retries, 1) if host in network.failed_hosts else retries,
        connections=context.options.connections,
        limiter=network.limiter,
        slots=network.slots,
        token=context.token,
        emit=context.emit,
        report=report,
        check=part.check,
    )
    try:
        fetch.run()
    except NetworkError:
        network.failed_hosts.add(host)
        raise
    network.failed_hosts.discard(host)


def _try_again(artifact: Artifact, part: Part, context: InstallContext, report: Report) -> None:
    """If the bytes are wrong, fetch all of them again where that may help. Raises: the last attempt's error."""
    error, sizes = _mismatch(part, context.token), set[int | None]()
    urls = deque(artifact.urls)
    while error and urls:
        url = urls.popleft()
        if _may_pass(part) and part.size not in sizes and len(sizes) < context.options.retries:
            sizes.add(part.size)  # if the size is the same again, the bytes there really are others
            urls.append(url)
        context.emit(Warned(f"{error.message}; fetching it again from {url}"))
        part.forget()
        try:
            headers = artifact.headers if url == artifact.urls[0] else {}  # mirrors get no credentials
            _fetch(replace(artifact, urls=(url,), headers=headers), part, context, report)
            error = _mismatch(part, context.token)
        except (IntegrityError, NetworkError, ResolveError) as failure:
            error = failure
    if error:
        raise error


def _may_pass(part: Part) -> bool:
    """Whether the bytes can be wrong although the address has the right ones."""
    return part.mixed or not part.end_is_certain


def _mismatch(part: Part, token: CancelToken) -> LuciError | None:
    try:
        part.verify(token)
    except IntegrityError as error:
        return error
    return None
