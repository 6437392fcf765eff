"""Fills a part from servers. If mirrors give wrong bytes, each address is tried alone before the install fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.events import Progress, Started, Warned
from luci_dl.formats.table import format_of
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact

Report = Callable[[Progress], None]


def fetch_into(part: Part, context: InstallContext, report: Report) -> int:
    """Fetch what is missing of the part. `report` gets all progress, beside the events.

    Returns: the bytes that came from servers. Raises: IntegrityError; NetworkError; ResolveError; StorageError;
        Interrupted.
    """
    artifact, before = part.artifact, part.fetched
    context.emit(Started(artifact.name, part.size, part.received))
    _fetch(artifact, part, context, report)
    if len(artifact.urls) > 1:
        _try_each_mirror_alone(artifact, part, context, report)
    if not part.provable:
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


def _try_each_mirror_alone(artifact: Artifact, part: Part, context: InstallContext, report: Report) -> None:
    """If the bytes are wrong, fetch all of them from each address in turn. Raises: the last address's error."""
    error = _mismatch(part, context.token)
    for url in artifact.urls:
        if error is None:
            return
        context.emit(Warned(f"{error.message}; fetching it again from {url} alone"))
        part.forget()
        try:
            headers = artifact.headers if url == artifact.urls[0] else {}  # mirrors get no credentials
            _fetch(replace(artifact, urls=(url,), headers=headers), part, context, report)
            error = _mismatch(part, context.token)
        except (IntegrityError, NetworkError, ResolveError) as failure:
            error = failure
    if error:
        raise error


def _mismatch(part: Part, token: CancelToken) -> LuciError | None:
    try:
        part.verify(token)
    except IntegrityError as error:
        return error
    return None
