"""Several connections, to servers that do not all tell the same."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import transaction
from luci_dl.events import Event, Warned
from luci_dl.net import pieces, retry
from luci_dl.plan import Options
from tests.interrupting import assert_nothing_left
from tests.servers import FaultyServer, faults
from tests.servers.honest import Answer, File, Request, answer

DATA = make_gguf(2_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
FOUR = Options(connections=4, min_free=0, retries=4)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 64 KiB, relieved early, and no waits."""
    monkeypatch.setattr(pieces, "WINDOW", 1 << 19)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 16)
    monkeypatch.setattr(pieces, "MIN_PIECE_BYTES", 1 << 16)
    monkeypatch.setattr(pieces, "SHARE_S", 0.05)
    monkeypatch.setattr(pieces, "SLOW_S", 0.05)
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.001)


class Farm(faults.Fault):
    """Each request meets another machine, with an ETag of its own, and none looks at If-Range."""

    numbers = itertools.count()

    def answer(self, request: Request, file: File) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name != "if-range"}
        told = answer(dataclasses.replace(request, headers=headers), file)
        return dataclasses.replace(told, headers={**told.headers, "ETag": f'"{next(self.numbers)}"'}, rate=1e6)


def test_a_farm_whose_machines_disagree_does_not_start_over_for_ever(server: FaultyServer, tmp_path: Path) -> None:
    """One connection brings what many could not agree on."""
    url = server.serve("/m.gguf", DATA, faults=[Farm()])
    [target] = luci_dl.install(f"{url}#sha256={DIGEST}", folder=tmp_path, options=FOUR)
    assert target.read_bytes() == DATA
    assert server.sent() < 3 * len(DATA)
    assert_nothing_left(tmp_path, "m.gguf")


def test_a_mirror_that_lies_about_ranges_is_dropped_alone(server: FaultyServer, tmp_path: Path) -> None:
    """What the honest one has brought stays, and it goes on with all its connections."""
    events: list[Event] = []
    honest = server.serve("/m.gguf", DATA, faults=[faults.trickle(1e6)])
    with FaultyServer() as liar:
        words = [f"{url}#sha256={DIGEST}" for url in (honest, liar.serve("/m.gguf", DATA, [faults.wrong_range(1)]))]
        [target] = luci_dl.install(*words, folder=tmp_path, options=FOUR, emit=events.append)
        assert len(liar.exchanges()) <= 4, "more than were under way"
    assert target.read_bytes() == DATA
    assert [liar.port for event in events if isinstance(event, Warned) and str(liar.port) in event.message]
    assert server.sent() < 1.6 * len(DATA), "it started over"
    assert_nothing_left(tmp_path, "m.gguf")


def test_a_bug_side_by_side_is_still_a_bug(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several jobs, too, an unforeseen exception reaches the caller, and no run counts as a success."""
    urls = [server.serve(f"/{name}.gguf", DATA) for name in ("one", "two")]
    monkeypatch.setattr(transaction, "Transaction", lambda *args, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        luci_dl.install(*urls, folder=tmp_path, options=Options(jobs=2, min_free=0))
