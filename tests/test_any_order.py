"""Whatever a server does, in whatever order segments arrive: the right bytes, or a clean error."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import backlog
from luci_dl.net import pieces, retry, worker_pool
from luci_dl.plan import Options
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer, faults

DATA = make_gguf(600_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = make_gguf(len(DATA), seed=7)
KEPT = [".luci/m.gguf.journal", ".luci/m.gguf.part"]
LEFT = [".luci/", ".luci/m.gguf.lock"]


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Segments, syncs and waits a thousand times smaller."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "WINDOW", 1 << 18)
        patch.setattr(pieces, "PIECE_BYTES", 1 << 15)
        patch.setattr(pieces, "MIN_PIECE_BYTES", 1 << 14)
        patch.setattr(worker_pool, "BLOCK_BYTES", 1 << 17)
        patch.setattr(pieces, "SHARE_S", 0.05)
        patch.setattr(pieces, "SLOW_S", 0.05)
        patch.setattr(backlog, "SYNC_EVERY", 1 << 15)
        patch.setattr(backlog, "AHEAD", 1 << 19)
        patch.setattr(retry, "MAX_DELAY_S", 0.001)
        yield


offsets = st.integers(0, len(DATA))
misfortunes = st.one_of(
    st.just(faults.ok()),
    st.just(faults.trickle(20e6)),
    offsets.map(faults.cut),
    offsets.map(lambda after: faults.cut(after, reset=True)),
    st.just(faults.no_ranges()),
    st.just(faults.no_etag()),
    st.just(faults.weak_etag()),
    st.just(faults.chunked()),
    st.just(faults.close_delimited()),
    st.just(faults.changed(OTHER)),
    st.just(faults.login_page()),
    offsets.map(faults.flipped),
    st.integers(1, 9).map(faults.longer),
    st.integers(1, 9).map(faults.shorter),
    st.integers(-9, 9).map(faults.wrong_range),
    st.sampled_from([403, 404, 416, 429, 500, 503]).map(lambda code: faults.status(code, retry_after=0)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    script=st.lists(misfortunes, max_size=12),
    connections=st.sampled_from([1, 2, 4, 16]),
    mirrors=st.integers(1, 2),
    known=st.booleans(),
)
def test_the_target_is_right_or_untouched(
    script: list[faults.Fault], connections: int, mirrors: int, known: bool
) -> None:
    """With a digest only the right bytes; without one, one version of the file. And the next try works."""
    with tempfile.TemporaryDirectory() as scratch, FaultyServer() as server, FaultyServer() as second:
        folder = Path(scratch) / "models"
        url = server.serve("/m.gguf", DATA, faults=[*script, faults.ok()])
        other = second.serve("/m.gguf", DATA, faults=[*script[::-1], faults.ok()])
        words = [f"{address}#sha256={DIGEST}" for address in (url, other)[:mirrors]] if known else [url]
        options = Options(connections=connections, min_free=0, retries=4)
        try:
            [target] = luci_dl.install(*words, folder=folder, options=options)
        except luci_dl.LuciError:
            left = files_left(folder)
            assert left in (LEFT, sorted([*LEFT, *KEPT]))
            assert lock_is_free(folder / LEFT[1])
            server.serve("/m.gguf", DATA)
            [target] = luci_dl.install(f"{url}#sha256={DIGEST}", folder=folder, options=options)
            assert target.read_bytes() == DATA
        else:
            assert target.read_bytes() == DATA or (not known and is_one_version(target.read_bytes(), script))
        assert files_left(folder) == [*LEFT, ".luci/m.gguf.receipt", "m.gguf"]


def is_one_version(data: bytes, script: list[faults.Fault]) -> bool:
    """Whether the server had just these bytes at some moment."""
    from tests.servers.honest import File

    return any(fault.on_file(File.of(DATA)).data == data for fault in script)
