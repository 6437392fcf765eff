"""What the server has, and what it does: the JSON of /luci/v1/status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.model import Access
from luci_dl.serve.ledger import Account
from luci_dl.serve.shelf import ShelfFile

Status = Mapping[str, Any]


class Pulling(Protocol):
    """A file that is being fetched: see `Pull`."""

    @property
    def sha256(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def reference(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def error(self) -> LuciError | None: ...
    @property
    def clients(self) -> Sequence[str]: ...
    @property
    def access(self) -> Access: ...


@frozen
class Facts:
    """What there is to report.

    Attributes:
        since: when the server was started, ISO.
        pull: what is not there is fetched.
        hub: its address; hub_state: "ok", "away" or "unasked".
    """

    since: str
    pull: bool
    hub: str
    hub_state: str
    files: Sequence[ShelfFile]
    running: Sequence[Pulling]
    account: Account


def status(facts: Facts, viewer_is_local: bool) -> Status:
    """The status as that viewer may see it: what is not public is for this machine alone."""
    files = [file for file in facts.files if viewer_is_local or file.access == "public"]
    running = [pull for pull in facts.running if viewer_is_local or pull.access == "public"]
    return {
        "v": 1,
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "since": facts.since,
        "pull": facts.pull,
        "hub": {"address": facts.hub, "state": facts.hub_state},
        "files": [_file(file, facts.account) for file in files],
        "fetching": [_fetching(pull, facts.account, viewer_is_local) for pull in running],
        "hidden": len(facts.files) - len(files) + len(facts.running) - len(running),
        "totals": _totals(facts.account),
    }


def _file(file: ShelfFile, account: Account) -> Status:
    return {
        "sha256": file.sha256,
        "name": file.name,
        "reference": file.reference,
        "size": file.size,
        "installed": file.installed,
        "sent": account.sent.get(file.sha256, 0) // max(1, file.size),
    }


def _fetching(pull: Pulling, account: Account, viewer_is_local: bool) -> Status:
    """An error may name folders, which concern this machine alone."""
    error = str(pull.error or "")
    return {
        "sha256": pull.sha256,
        "name": pull.path.name,
        "reference": pull.reference,
        "size": pull.size,
        "done": pull.received,
        "rate": account.rates.get(pull.sha256, 0),
        "clients": sorted(set(pull.clients)),
        "error": error if viewer_is_local else error and "the fetch failed",
    }


def _totals(account: Account) -> Status:
    return {
        "wan_bytes": account.wan_bytes,
        "lan_bytes": account.lan_bytes,
        "wan_rate": account.wan_rate,
        "lan_rate": account.lan_rate,
        "clients": account.clients,
        "copies_saved": max(0, account.lan_bytes - account.wan_bytes),
    }
