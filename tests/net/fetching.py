"""One fetch into a sink in memory, with its server and its events."""

from __future__ import annotations

import dataclasses

from luci_dl.cancel import CancelToken
from luci_dl.events import Event, Progress, Retrying
from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from tests.net.sink import MemorySink
from tests.servers import FaultyServer, faults

DATA = bytes(range(256)) * 1200  # 300 KiB
HALF = len(DATA) // 2
OK = faults.ok()
CUT = faults.cut(after=HALF)


@dataclasses.dataclass
class Run:
    """One fetch, its sink, its events and its progress reports; `threads` as in `Fetch`."""

    server: FaultyServer
    sink: MemorySink
    events: list[Event] = dataclasses.field(default_factory=list)
    reports: list[Progress] = dataclasses.field(default_factory=list)
    token: CancelToken = dataclasses.field(default_factory=CancelToken)
    threads: bool = True

    def fetch(self, *scripted: faults.Fault, retries: int = 3, patience: float | None = None) -> None:
        url = self.server.serve("/m.gguf", DATA, faults=scripted)
        Fetch(
            Client(connect_s=60),
            Artifact("m.gguf", (url,)),
            self.sink,
            retries=retries,
            token=self.token,
            emit=self.events.append,
            report=self.reports.append,
            check=lambda: None,
            threads=self.threads or patience is not None,
            patience=patience,
        ).run()

    @property
    def retries(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Retrying)]

    @property
    def asked(self) -> list[tuple[str | None, str | None]]:
        """Range and If-Range of each request."""
        return [(e.headers.get("range"), e.headers.get("if-range")) for e in self.server.exchanges("/m.gguf")]

    def etag(self) -> str:
        validator = self.sink.remotes[0].validator
        assert validator
        return validator


def proved(run: Run) -> None:
    assert bytes(run.sink.data) == DATA
