"""Any number of terminals may install anything at once: the same bytes come once."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.disk import journal
from luci_dl.disk.layout import staging_for
from tests.cli.shop import Shop
from tests.interrupting import DATA, HALF, assert_nothing_left, patched
from tests.procs import Code, Spawned, luci, wait_until
from tests.servers import FaultyServer, faults

SMALL_STEPS = patched("from luci_dl.disk import backlog, buffers; backlog.SYNC_EVERY = buffers.LARGE = 1 << 17")


@pytest.fixture
def models(home: Path) -> Path:
    return home / "models"


@pytest.fixture
def url(server: FaultyServer) -> str:
    """The first answer stalls half-way until the server is told to go on."""
    address = server.serve("/m.gguf", DATA, [faults.stall(HALF), faults.ok()])
    return f"{address}#sha256={hashlib.sha256(DATA).hexdigest()}"


@contextlib.contextmanager
def waiting(server: FaultyServer, url: str, others: int, command: Code) -> Iterator[tuple[Spawned, list[Spawned]]]:
    """One that fetches and has come to the stall, and others that wait for it."""
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(Spawned("install", url, command=command))
        assert server.stalled.wait(20)
        holder.wait_for("Starting fresh")
        spawned = [stack.enter_context(Spawned("install", url)) for _ in range(others)]
        for each in spawned:
            each.wait_for(f"Waiting for pid {holder.pid}")
        yield holder, spawned


@pytest.mark.parametrize("others", [1, 7])
def test_the_same_target_is_fetched_once(server: FaultyServer, url: str, models: Path, others: int) -> None:
    """The others say who holds it, since when and how far it is, wait, and then find it installed."""
    with waiting(server, url, others, SMALL_STEPS) as (holder, spawned):
        server.release()
        assert [each.wait() for each in (holder, *spawned)] == [0] * (others + 1)
        for each in spawned:
            assert f"Waiting for pid {holder.pid} on {socket.gethostname()} (luci install m.gguf) since " in each.err
        assert {each.out for each in (holder, *spawned)} == {f"{models / 'm.gguf'}\n"}
    assert server.sent() == len(DATA)
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


def test_who_waits_sees_how_far_the_other_is(server: FaultyServer, url: str) -> None:
    """The holder says so in its lock, once a second at most."""
    with waiting(server, url, 0, SMALL_STEPS), Spawned("install", url, "--json") as late:
        late.wait_for(f'"done": {HALF}')
        server.release()
        assert late.wait() == 0


def test_after_a_kill_one_takes_over_and_resumes_what_is_proved(server: FaultyServer, url: str, models: Path) -> None:
    """Nothing that the journal proves comes over the network again, and the rest of the waiting fetch nothing."""
    with waiting(server, url, 3, SMALL_STEPS) as (holder, spawned):
        path = staging_for(models, "m.gguf").journal
        wait_until(lambda: (log := journal.read(path)) and log.checkpoints)
        holder.signal(signal.SIGKILL)
        assert [each.wait() for each in spawned] == [0, 0, 0]
        (resumed,) = server.exchanges()[1:]
        start = int(resumed.headers["range"].removeprefix("bytes=").rstrip("-"))
        assert 0 < start <= HALF
        assert resumed.sent == len(DATA) - start
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


def test_after_an_interrupt_one_takes_over_and_starts_fresh(server: FaultyServer, url: str, models: Path) -> None:
    """The part was deleted; Ctrl+C in one terminal is none in the others."""
    with waiting(server, url, 3, SMALL_STEPS) as (holder, spawned):
        holder.signal(signal.SIGINT)
        assert holder.wait() == -signal.SIGINT
        assert [each.wait() for each in spawned] == [0, 0, 0]
        assert sum("Starting fresh" in each.err for each in spawned) == 1
    assert server.sent() == HALF + len(DATA)
    assert_nothing_left(models, "m.gguf")


def test_wrong_bytes_fail_all_who_wait_for_them(server: FaultyServer, url: str, models: Path) -> None:
    """With the same words and exit 5, rather than fetch 40 GB each again; the file came once."""
    server.serve("/m.gguf", DATA, [faults.flipped(HALF + 1) + faults.stall(HALF)])
    with waiting(server, url, 3, SMALL_STEPS) as (holder, spawned):
        server.release()
        assert [each.wait() for each in (holder, *spawned)] == [5] * 4
        assert all("the bytes of m.gguf are wrong" in each.err for each in (holder, *spawned))
    assert server.sent() == len(DATA)
    assert_nothing_left(models)


def test_who_comes_after_the_wrong_bytes_tries_again(server: FaultyServer, url: str, models: Path) -> None:
    """The outcome of the last one is no verdict for ever."""
    server.serve("/m.gguf", DATA, [faults.flipped(HALF), faults.ok()])
    assert luci("install", url).returncode == 5
    assert luci("install", url).returncode == 0
    assert_nothing_left(models, "m.gguf")


@pytest.mark.parametrize("patience", [["--no-wait"], ["--wait", "0.2"]])
def test_who_does_not_want_to_wait_ends_with_7(
    server: FaultyServer, url: str, models: Path, patience: list[str]
) -> None:
    """The message says who is in the way; the holder does not notice."""
    with waiting(server, url, 0, SMALL_STEPS) as (holder, _):
        ended = luci("install", url, *patience)
        assert ended.returncode == 7
        assert f"m.gguf is being installed by pid {holder.pid}" in ended.stderr
        server.release()
        assert holder.wait() == 0
    assert server.sent() == len(DATA)
    assert_nothing_left(models, "m.gguf")


def test_ctrl_c_while_waiting_touches_nothing_of_the_holder(server: FaultyServer, url: str, models: Path) -> None:
    """It ends by the signal, deletes nothing and says so by silence."""
    with waiting(server, url, 1, SMALL_STEPS) as (holder, (other,)):
        other.signal(signal.SIGINT)
        assert other.wait() == -signal.SIGINT
        assert "Deleted" not in other.err
        server.release()
        assert holder.wait() == 0
    assert server.sent() == len(DATA)
    assert_nothing_left(models, "m.gguf")


def test_different_targets_run_side_by_side(server: FaultyServer, models: Path) -> None:
    """Both are under way at one time."""
    urls = [server.serve(f"/{name}.gguf", DATA, [faults.stall(HALF)]) for name in "ab"]
    with Spawned("install", urls[0]) as one, Spawned("install", urls[1]) as two:
        wait_until(lambda: server.sent("/a.gguf") == server.sent("/b.gguf") == HALF)
        server.release()
        assert [one.wait(), two.wait()] == [0, 0]
    assert_nothing_left(models, "a.gguf", "b.gguf")


def test_two_models_that_share_a_file_fetch_it_once(server: FaultyServer, models: Path, tmp_path: Path) -> None:
    """Though each is one transaction over all its files; no two wait for each other."""
    shop, catalog = Shop(server, tmp_path / "catalog.toml"), {"LUCI_CATALOG": str(tmp_path / "catalog.toml")}
    shop.sell("one", files=["z.gguf", "mmproj.gguf"])
    shop.sell("two", files=["a.gguf", "mmproj.gguf"])
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(Spawned("install", name, "--no-adopt", env=catalog)) for name in ("one", "two") * 3]
        assert [run.wait() for run in runs] == [0] * 6
    begun = [line.split()[2] for run in runs for line in run.err.splitlines() if "Starting fresh" in line]
    assert sorted(begun) == ["a.gguf...", "mmproj.gguf...", "z.gguf..."]
    assert_nothing_left(models, "a.gguf", "mmproj.gguf", "z.gguf")


def test_a_folder_under_two_names_has_one_lock(server: FaultyServer, url: str, models: Path, tmp_path: Path) -> None:
    """The kernel locks the file, not its path."""
    models.mkdir(parents=True)
    (tmp_path / "link").symlink_to(models)
    with waiting(server, url, 0, SMALL_STEPS) as (holder, _):
        ended = luci("install", url, "--no-wait", env={"LUCI_MODELS_DIR": str(tmp_path / "link")})
        assert ended.returncode == 7
        server.release()
        assert holder.wait() == 0
    assert_nothing_left(models, "m.gguf")
