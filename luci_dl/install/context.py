"""What all models of one run share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from luci_dl.cancel import CancelToken
from luci_dl.events import Emit
from luci_dl.frozen import frozen
from luci_dl.install.local_copies import Copies
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.plan import Options

if TYPE_CHECKING:
    from luci_dl.disk.part import Part
    from luci_dl.install.lan import Lan
    from luci_dl.install.swarm import Swarm


@frozen
class InstallContext:
    """Passed to everything that installs or inspects.

    Attributes:
        copies: where to look for copies on this machine before fetching.
        emit: gets all events.
        opened: gets each part once it can be filled, from any thread.
        lan: the servers to ask before all others; None without any.
        swarm: shares files with other hosts; None unless that is wanted.
    """

    options: Options
    network: Network
    copies: Copies
    token: CancelToken
    emit: Emit
    opened: Callable[[Part], object] = lambda _part: None
    lan: Lan | None = None
    swarm: Swarm | None = None

    def asked_first(self, artifact: Artifact) -> Artifact:
        """The artifact at the server that is asked for it first."""
        offer = self.lan.offer(artifact) if self.lan else None
        return offer.artifact if offer else artifact
