"""How many connections all fetches of a run have together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.errors import LuciError
from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from luci_dl.net.slots import Slots
from tests.net.fetching import CUT, DATA, OK
from tests.net.sink import MemorySink
from tests.servers import FaultyServer, faults


def test_so_many_connections_there_may_be() -> None:
    """One that is given back can be taken again."""
    slots = Slots(2)
    assert [slots.take(first=False) for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert [slots.take(first=False) for _ in range(2)] == [True, False]


def test_each_fetch_gets_one_in_any_case() -> None:
    """Also beyond the limit; then as many must be given back before others are taken."""
    slots = Slots(1)
    assert [slots.take(first=True) for _ in range(3)] == [True, True, True]
    slots.give_back()
    slots.give_back()
    assert not slots.take(first=False)
    slots.give_back()
    assert slots.take(first=False)


def cancelled_when(happens: Callable[[], bool], token: CancelToken) -> Callable[[], None]:
    return lambda: token.cancel() if happens() else None


@pytest.mark.parametrize("fails", [[OK], [CUT, OK], [faults.status(404)], [faults.status(503)], [faults.stall(1000)]])
def test_a_fetch_gives_back_what_it_took(server: FaultyServer, fails: list[faults.Fault]) -> None:
    """Whether it ends well, fails, or is cancelled."""
    slots, token = Slots(1), CancelToken()
    url = server.serve("/m.gguf", DATA, fails)
    fetch = Fetch(
        Client(),
        Artifact("m.gguf", (url,)),
        MemorySink(),
        retries=1,
        token=token,
        emit=lambda _event: None,
        report=lambda _progress: None,
        check=cancelled_when(server.stalled.is_set, token),
        slots=slots,
    )
    if fails[-1] is OK:
        fetch.run()
    else:
        with pytest.raises(LuciError):
            fetch.run()
    assert [slots.take(first=False) for _ in range(2)] == [True, False]
