"""Fills a part from servers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from luci_dl.disk.part import Part
from luci_dl.errors import NetworkError
from luci_dl.events import Progress, Started, Warned
from luci_dl.install.context import InstallContext
from luci_dl.install.second_try import SecondTry
from luci_dl.model import Artifact

if TYPE_CHECKING:
    from luci_dl.install.lan import Lan
    from luci_dl.install.swarm import Swarm

Report = Callable[[Progress], None]


def fetch_into(part: Part, context: InstallContext, report: Report) -> int:
    """Fetch what is missing of the part, and verify it. `report` gets all progress, beside the events.

    Returns: the bytes that came from servers. Raises: IntegrityError; NetworkError; ResolveError; StorageError;
        Interrupted.
    """
    artifact, before, resumed = part.artifact, part.fetched, part.received > 0
    context.emit(Started(artifact.name, part.size, part.received))
    fetch = partial(_fetch, part, context, report)
    if context.lan is None:
        fetch(artifact)
        elsewhere = resumed
    elif context.swarm is None:
        elsewhere = context.lan.fetch(part, fetch, context.emit) or resumed
    else:
        elsewhere = _share(context.lan, context.swarm, part, context, report) or resumed
    SecondTry(part, context, fetch, elsewhere=elsewhere).run()
    if not part.provable:
        from luci_dl.formats.table import format_of

        digest = part.verify(context.token)
        begins = "header" if format_of(artifact.name).check else "first bytes"
        checked = f"nothing but its length and {begins} was checked"
        context.emit(Warned(f"{artifact.name}: no digest is known, so {checked}; its SHA-256 is {digest}"))
    return part.fetched - before


def _share(lan: Lan, swarm: Swarm, part: Part, context: InstallContext, report: Report) -> bool:
    """Fetch what is missing of the part together with other hosts, as soon as a server can name them.

    Returns: whether there may be bytes of the LAN in it. Raises: LuciError.
    """
    from luci_dl.install.swarm import Ready  # few have one

    fetch = partial(_fetch, part, context, report)
    if not swarm.fetch(part, context, report):
        with swarm.awaited(part, context.token) as check:

            def watched(artifact: Artifact, tick: Callable[[], None] = check, patience: float | None = None) -> None:
                def both() -> None:
                    check()
                    tick()

                fetch(artifact, both, patience)

            try:
                return lan.fetch(part, watched, context.emit)
            except Ready:
                swarm.fetch(part, context, report)
    lan.fetch(part, fetch, context.emit)
    return True


def _fetch(
    part: Part,
    context: InstallContext,
    report: Report,
    artifact: Artifact,
    tick: Callable[[], None] = lambda: None,
    patience: float | None = None,
) -> None:
    """Fetch what is missing of the part from the addresses of the artifact. See `FetchFrom` in `lan`."""
    if part.received == part.size:
        return  # a kept part may be complete, and its server unreachable
    from luci_dl.net.fetch import Fetch  # slow to load

    url, network, retries = artifact.urls[0], context.network, context.options.retries
    host = urlsplit(url).netloc

    def check() -> None:
        part.check()
        tick()

    fetch = Fetch(
        network.client_for(url),
        artifact,
        part,
        retries=min(retries, 1) if host in network.failed_hosts else retries,
        connections=context.options.connections if patience is None else 1,
        limiter=network.limiter,
        slots=network.slots,
        token=context.token,
        emit=context.emit,
        report=report,
        check=check,
        threads=part.has_journal or patience is not None,
        patience=patience,
    )
    try:
        fetch.run()
    except NetworkError:
        network.failed_hosts.add(host)
        raise
    network.failed_hosts.discard(host)
