"""Many connections and several addresses for one file, from servers that fail, over the real disk."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import backlog
from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.events import Event, Progress, Retrying, Started, Warned
from luci_dl.net import pieces, retry, tune, worker_pool
from luci_dl.plan import Options
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer, faults
from tests.servers.honest import Answer, File, Request

KIB = 1 << 10
DATA = make_gguf(3_000_001)
DIGEST = hashlib.sha256(DATA).hexdigest()
LEFT = [".luci/", ".luci/m.gguf.lock", ".luci/m.gguf.receipt", "m.gguf"]
WHOLE = "bytes=0-"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments, waits and syncs a thousand times smaller."""
    monkeypatch.setattr(pieces, "WINDOW", 512 * KIB)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 64 * KIB)
    monkeypatch.setattr(pieces, "MIN_PIECE_BYTES", 64 * KIB)
    monkeypatch.setattr(worker_pool, "BLOCK_BYTES", 256 * KIB)
    monkeypatch.setattr(pieces, "SHARE_S", 0.3)
    monkeypatch.setattr(pieces, "SLOW_S", 0.3)
    monkeypatch.setattr(backlog, "SYNC_EVERY", 256 * KIB)
    monkeypatch.setattr(backlog, "AHEAD", 1024 * KIB)
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.01)
    monkeypatch.setattr(tune, "MEASURE_S", 0.1)


@dataclass
class Home:
    """A models folder, and what was told of an install into it."""

    folder: Path
    events: list[Event] = field(default_factory=list)

    def install(self, *urls: str, connections: int | None = 4, sha256: str = DIGEST, retries: int = 3) -> Path:
        words = [f"{url}#sha256={sha256}" for url in urls] if sha256 else urls
        chosen = Options(connections=connections, min_free=0, retries=retries)
        return luci_dl.install(*words, folder=self.folder, output=None, options=chosen, emit=self.events.append)[0]

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress)]

    @property
    def retries(self) -> int:
        return len([event for event in self.events if isinstance(event, Retrying)])

    @property
    def warnings(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))


@pytest.fixture
def models(tmp_path: Path) -> Home:
    return Home(tmp_path / "models")


def ranges(server: FaultyServer) -> list[str]:
    return [exchange.headers.get("range", "") for exchange in server.exchanges()]


@pytest.mark.parametrize("connections", [1, 2, 4, 16])
def test_segments_out_of_order_end_in_the_right_bytes(server: FaultyServer, models: Home, connections: int) -> None:
    """However many connections share the file, each byte is fetched once and the whole is right."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(8e6)])
    assert models.install(url, connections=connections).read_bytes() == DATA
    assert files_left(models.folder) == LEFT
    assert len(ranges(server)) >= connections
    assert (ranges(server) == [WHOLE]) == (connections == 1)


def test_no_request_but_the_first_is_for_more_than_a_piece(server: FaultyServer, models: Home) -> None:
    """A piece may be a quarter longer, where a shorter one would remain before it."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(2e6)])
    models.install(url, connections=8)
    first, *others = ranges(server)
    assert first == WHOLE
    spans = [span.removeprefix("bytes=").split("-") for span in others]
    assert all(int(last or len(DATA)) - int(begin) <= 80 * KIB for begin, last in spans)


def test_a_throttled_server_is_given_more_connections(server: FaultyServer, models: Home) -> None:
    """With `auto`, a server that holds back each connection is asked by several."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(400e3)])
    models.install(url, connections=None)
    assert len(ranges(server)) > 4


def test_a_server_without_ranges_gets_one_connection(server: FaultyServer, models: Home) -> None:
    """Whatever is asked for on the command line."""
    url = server.serve("/m.gguf", DATA, faults=[faults.no_ranges() + faults.trickle(8e6)])
    assert models.install(url, connections=16).read_bytes() == DATA
    assert ranges(server) == [WHOLE]


def test_a_server_that_only_promises_ranges_costs_a_fresh_start(server: FaultyServer, models: Home) -> None:
    """One that says Accept-Ranges and answers 200 all the same is never appended; the file is started over."""
    lying = faults.no_ranges() + faults.headers(Accept_Ranges="bytes") + faults.trickle(8e6)
    url = server.serve("/m.gguf", DATA, faults=[lying])
    assert models.install(url).read_bytes() == DATA
    assert files_left(models.folder) == LEFT


def test_without_digest_and_validator_there_is_one_connection(server: FaultyServer, models: Home) -> None:
    """Nothing would prove that the segments belong together."""
    url = server.serve("/m.gguf", DATA, faults=[faults.no_etag() + faults.trickle(8e6)])
    assert models.install(url, sha256="").read_bytes() == DATA
    assert ranges(server) == [WHOLE]


def test_every_segment_names_the_version(server: FaultyServer, models: Home) -> None:
    """Without a digest, each range request carries If-Range with the server's own strong ETag."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(4e6)])
    models.install(url, sha256="")
    assert len(server.exchanges()) > 2
    assert all("if-range" in exchange.headers for exchange in server.exchanges()[1:])


def test_a_file_that_changes_between_two_segments_is_wrong(server: FaultyServer, models: Home) -> None:
    """With a known digest the new version is fetched whole, and found to be wrong."""
    other = make_gguf(len(DATA), seed=7)
    url = server.serve("/m.gguf", DATA, faults=[*[faults.trickle(2e6)] * 3, faults.changed(other)])
    with pytest.raises(IntegrityError):
        models.install(url)
    assert files_left(models.folder) == LEFT[:2]
    assert lock_is_free(models.folder / LEFT[1])


def test_a_file_that_changes_without_a_digest_is_fetched_again(server: FaultyServer, models: Home) -> None:
    """Bytes of two versions are never put together."""
    other = make_gguf(len(DATA), seed=7)
    url = server.serve("/m.gguf", DATA, faults=[*[faults.trickle(2e6)] * 3, faults.changed(other)])
    assert models.install(url, sha256="").read_bytes() in (DATA, other)


class RefusesRanges(faults.Fault):
    """403 to any range."""

    def answer(self, request: Request, file: File) -> Answer:
        return Answer(403) if "range" in request.headers else super().answer(request, file)


def test_refused_ranges_leave_the_first_connection_at_work(server: FaultyServer, models: Home) -> None:
    """What was split off for others is given back to it, and no byte comes twice."""
    url = server.serve("/m.gguf", DATA, faults=[RefusesRanges(on_answer=faults.trickle(4e6).on_answer)])
    assert models.install(url, connections=4).read_bytes() == DATA
    assert server.sent() == len(DATA)
    [said] = [event.message for event in models.events if isinstance(event, Warned)]
    assert "returned 403; continuing without more connections" in said


def test_a_gap_at_the_beginning_is_not_waited_for(server: FaultyServer, models: Home) -> None:
    """The only connection that is left sends all that follows, which is more than luci writes ahead."""
    at, numbers = 100_000, itertools.count()
    unusable = faults.content_range(None)
    first = faults.Fault(
        instead=lambda request: (
            unusable if f"bytes={at}-" in request.headers.get("range", "") and not next(numbers) else None
        )
    )
    rest = faults.moved_range(lambda first, _last: (first, len(DATA))) + faults.trickle(20e6)
    url = server.serve("/m.gguf", DATA, faults=[faults.cut(at), first + rest])
    assert models.install(url, connections=2).read_bytes() == DATA
    assert files_left(models.folder) == LEFT


def test_too_many_connections_are_taken_back(server: FaultyServer, models: Home) -> None:
    """A 429 to the third connection leaves two at work, and nothing is said of it."""
    slow = faults.trickle(1e6)
    url = server.serve("/m.gguf", DATA, faults=[slow, slow, faults.status(429, retry_after=0), slow])
    assert models.install(url, connections=4).read_bytes() == DATA
    assert not [event for event in models.events if isinstance(event, Retrying)]


def test_a_busy_server_gets_one_connection_for_a_while(server: FaultyServer, models: Home) -> None:
    """After a 503 to the only connection there is none beside the next one."""
    url = server.serve("/m.gguf", DATA, faults=[faults.status(503, retry_after=0), faults.trickle(6e6)])
    models.install(url, connections=4)
    assert ranges(server) == [WHOLE, WHOLE]


def test_a_server_that_fails_is_asked_by_one_connection(server: FaultyServer, models: Home) -> None:
    """The others follow once bytes come again."""
    failing = [faults.status(500)] * 30
    url = server.serve("/m.gguf", DATA, faults=[faults.cut(200_000), *failing, faults.trickle(4e6)])
    assert models.install(url, connections=8, retries=30).read_bytes() == DATA
    assert models.retries >= len(failing) - 15, "seven fail beside the first one, and eight after it"
    assert len(ranges(server)) > len(failing) + 8


@pytest.mark.parametrize("reset", [True, False])
def test_cut_segments_are_fetched_again_from_where_they_ended(server: FaultyServer, models: Home, reset: bool) -> None:
    """Every third connection breaks off; the bytes that came are kept."""
    script = [faults.trickle(8e6), faults.trickle(8e6), faults.cut(20_000, reset=reset)] * 30
    url = server.serve("/m.gguf", DATA, faults=[*script, faults.ok()])
    assert models.install(url, retries=20).read_bytes() == DATA
    assert files_left(models.folder) == LEFT


def test_a_crawling_segment_is_taken_over(server: FaultyServer, models: Home) -> None:
    """One connection of four that nearly stands still holds nobody up."""
    quick, crawling = faults.trickle(3e6), faults.trickle(2000)
    url = server.serve("/m.gguf", DATA, faults=[quick, quick, crawling, quick])
    assert models.install(url).read_bytes() == DATA  # it alone would take more than a minute


class TestMirrors:
    """Several addresses for one file of known digest."""

    @pytest.fixture(autouse=True)
    def _servers(self, server: FaultyServer, models: Home) -> object:
        self.first, self.models = server, models
        with FaultyServer() as self.second, FaultyServer() as self.third:
            yield

    def urls(self, *scripts: Sequence[faults.Fault]) -> list[str]:
        servers = (self.first, self.second, self.third)
        return [server.serve("/m.gguf", DATA, faults=script) for server, script in zip(servers, scripts, strict=False)]

    def test_mirrors_share_the_segments(self) -> None:
        """Both give bytes, and together just the file."""
        slow = [faults.trickle(1e6)]
        assert self.models.install(*self.urls(slow, slow)).read_bytes() == DATA
        assert self.first.sent() > 300_000
        assert self.second.sent() > 300_000

    def test_the_faster_mirror_gives_more(self) -> None:
        """Work is spread as the rates are."""
        self.models.install(*self.urls([faults.trickle(200e3)], [faults.trickle(2e6)]))
        assert self.second.sent() > 2 * self.first.sent()

    def test_a_dead_mirror_is_dropped_with_a_word(self) -> None:
        """One that answers 404, and one that nobody listens at."""
        urls = self.urls([faults.trickle(1e6)], [faults.status(404)])
        dead = "http://127.0.0.1:9/m.gguf"
        assert self.models.install(*urls, dead).read_bytes() == DATA
        assert "404" in self.models.warnings
        assert dead in self.models.warnings

    def test_the_first_address_may_be_the_dead_one(self) -> None:
        """Then the others bring it all."""
        assert self.models.install(*self.urls([faults.status(404)], [faults.ok()])).read_bytes() == DATA

    def test_a_lying_mirror_costs_a_second_fetch_from_the_first(self) -> None:
        """Other bytes of the same length from one: wrong at the end, so all comes again from the first alone."""
        other = make_gguf(len(DATA), seed=7)
        urls = self.urls([faults.trickle(1e6)], [faults.changed(other) + faults.trickle(1e6)])
        assert self.models.install(*urls).read_bytes() == DATA
        assert "again from" in self.models.warnings

    def test_a_mirror_with_another_file_is_dropped_at_once(self) -> None:
        """Its length gives it away before a byte of it is taken."""
        urls = self.urls([faults.trickle(1e6)], [faults.longer(1)])
        assert self.models.install(*urls).read_bytes() == DATA

    def test_when_the_first_address_has_wrong_bytes_the_second_alone_saves_it(self) -> None:
        """Each address gets its chance alone, one after the other."""
        other = make_gguf(len(DATA), seed=7)
        urls = self.urls([faults.changed(other) + faults.trickle(2e6)], [faults.trickle(2e6)])
        assert self.models.install(*urls).read_bytes() == DATA
        assert files_left(self.models.folder) == LEFT

    def test_a_mirror_without_ranges_is_dropped_and_costs_nothing(self) -> None:
        """It answers 200 to a range: what the others brought is not forgotten for it."""
        urls = self.urls([faults.trickle(1e6)], [faults.no_ranges()])
        assert self.models.install(*urls).read_bytes() == DATA
        assert self.first.url("/m.gguf") not in self.models.warnings
        assert "whole file instead of the requested range" in self.models.warnings
        assert [event.done for event in self.models.progress] == sorted(event.done for event in self.models.progress)

    def test_when_all_are_dead_the_error_is_the_last_ones(self) -> None:
        """Nothing is left, and the exit is that of a network failure."""
        urls = self.urls([faults.status(503)], [faults.status(503)])
        with pytest.raises(NetworkError, match="503"):
            self.models.install(*urls, retries=4)
        assert files_left(self.models.folder) == LEFT[:2]


def test_an_interrupted_fetch_with_many_connections_leaves_nothing(server: FaultyServer, models: Home) -> None:
    """A cancel while sixteen connections are stalled."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(8e6), faults.stall(10_000)])
    token = luci_dl.CancelToken()

    def cancel() -> None:
        server.stalled.wait()
        token.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(luci_dl.LuciError):
        luci_dl.install(
            f"{url}#sha256={DIGEST}",
            folder=models.folder,
            options=Options(connections=16, min_free=0),
            token=token,
            emit=models.events.append,
        )
    assert files_left(models.folder) == LEFT[:2]
    assert lock_is_free(models.folder / LEFT[1])
    assert [event for event in models.events if isinstance(event, Started)]
