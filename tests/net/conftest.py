"""Fetches with time limits of milliseconds instead of minutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from luci_dl.net import connections, fetch, rate_meter, retry
from tests.net.fetching import Run
from tests.net.sink import MemorySink
from tests.procs import wait_until
from tests.servers import FaultyServer


@pytest.fixture(params=[True, False], ids=["thread", "here"])
def run(server: FaultyServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A fetch of a file with a known digest and an unknown size: by a thread, and by the one that runs the fetch.

    Afterwards nobody may have the right to write.
    """
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.001)
    monkeypatch.setattr(rate_meter, "STALL_S", 0.2)
    monkeypatch.setattr(connections, "READ_S", 0.2)
    monkeypatch.setattr(connections, "FIRST_BYTE_S", 2.0)
    monkeypatch.setattr(fetch, "TICK_S", 0.02)
    run = Run(server, MemorySink(), threads=request.param)
    yield run
    wait_until(lambda: not run.sink.leased)
