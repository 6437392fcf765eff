"""What viewers see: made once a second for all who may see the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from luci_dl.frozen import frozen
from luci_dl.serve.status import Facts, Status, status
from luci_dl.serve.view import View, view


@frozen
class Snapshot:
    """What viewers see for a second.

    Attributes:
        number: one more than of the snapshot before it.
        changes: the events for who has seen that one; empty if nothing changed.
    """

    number: int
    made: float
    status: Status
    view: View
    changes: bytes

    def since(self, number: int) -> bytes:
        """The events for who has seen the snapshot of that number; one below 0 is none."""
        if number == self.number:
            return b""
        return self.changes if number == self.number - 1 >= 0 else _events(self.status, self.view)


class Board:
    """The latest snapshots: of all, for viewers on this machine, and of what is public.

    Args:
        facts: collects what there is to report; in a thread.
    """

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts
        self._latest: dict[bool, Snapshot] = {}
        self._lock = asyncio.Lock()

    async def snapshot(self, viewer_is_local: bool) -> Snapshot:
        """What that viewer may see, at most a second old."""
        async with self._lock:
            last = self._latest.get(viewer_is_local)
            if last is None or time.monotonic() - last.made >= 1:
                last = await asyncio.to_thread(self._snapshot, viewer_is_local, last)
                self._latest[viewer_is_local] = last
            return last

    def _snapshot(self, viewer_is_local: bool, last: Snapshot | None) -> Snapshot:
        now, facts = time.monotonic(), self._facts()
        seen = status(facts, viewer_is_local)
        shown = view(seen, facts.account)
        changes = _events(_news(last.status, seen), _news(last.view, shown)) if last else b""
        return Snapshot(last.number + 1 if last else 0, now, seen, shown, changes)


def _news(old: Mapping[str, object], new: Mapping[str, object]) -> Mapping[str, object]:
    return {key: value for key, value in new.items() if old[key] != value}


def _events(status: Mapping[str, Any], view: Mapping[str, Any]) -> bytes:
    """As a stream of server-sent events; the time alone is not worth one."""
    named = {"status": status if status.keys() - {"now"} else {}, "page": view}
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in named.items() if data).encode()
