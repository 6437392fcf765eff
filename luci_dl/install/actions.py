"""What must be done about each file of a model: a closed set of actions. `inspect` decides, others only follow."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from luci_dl.disk.receipt import Receipt
from luci_dl.disk.target import Found
from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.install.local_copies import LocalCopy
from luci_dl.model import Artifact


@frozen
class Action:
    """One of the classes below.

    Attributes:
        artifact: the file, with what its server said about it if that had to be asked.
        target: where it goes.
    """

    artifact: Artifact
    target: Path


@frozen
class Keep(Action):
    """The file stays: luci installed it. By `found.state` it is the artifact, or "newer" or "elsewhere"."""

    found: Found


@frozen
class Adopt(Keep):
    """The file stays and gets a receipt: luci did not install it, but it is the artifact."""


@frozen
class Fetch(Action):
    """The file is fetched from a server.

    Attributes:
        needs: bytes of disk, not counting those of a kept part; 0 if the size is unknown.
        resumed: bytes of a kept part, according to its journal.
        begun: there is a kept part, or the receipt of an earlier install.
    """

    needs: int
    resumed: int = 0
    begun: bool = False


@frozen
class Copy(Fetch):
    """The file is taken from the first of the `copies` that proves to be right, or else from a server."""

    copies: tuple[LocalCopy, ...] = field(kw_only=True)


@frozen
class Mend(Fetch):
    """Of a damaged file at the target, only the blocks that are not as its receipt says are fetched from a server."""

    receipt: Receipt = field(kw_only=True)


@frozen
class Refuse(Action):
    """The model cannot be installed because of this file."""

    error: LuciError


@frozen
class Wait(Action):
    """Another process is installing the model. `lock_holder` has this file's lock; empty if that one is free."""

    lock_holder: str


@frozen
class Complete(Action):
    """A crash ended an install of the model after its last check; the next install completes it."""
