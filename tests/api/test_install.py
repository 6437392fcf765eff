"""The Python API: usable in any thread, raises, touches no signal handler, prints nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

import luci_dl
from luci_dl.errors import IntegrityError, Interrupted, LuciError, ResolveError, UsageError
from luci_dl.events import Deleted, Event, Installed, Progress
from luci_dl.plan import Options, Remote
from tests.cli.shop import DATA, assert_nothing_left, sha256
from tests.procs import files_left
from tests.servers import FaultyServer, faults

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, or raises, when another thread than the main one does it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(signum) for signum in signals]
    yield
    assert [signal.getsignal(signum) for signum in signals] == before


def test_everything_promised_is_there() -> None:
    """Each name is imported when it is first used."""
    for name in luci_dl.__all__:
        assert getattr(luci_dl, name)
    with pytest.raises(AttributeError, match="no attribute 'instal'"):
        luci_dl.instal  # noqa: B018 - that it raises is the point


def test_install_returns_the_paths(server: FaultyServer, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In a thread, with events, and without a word of its own."""
    url = server.serve("/a.gguf", DATA)
    told: list[Event] = []
    paths = in_thread(lambda: luci_dl.install(url, sha256=sha256(DATA), emit=told.append))
    assert paths == [home / "models" / "a.gguf"]
    assert paths[0].read_bytes() == DATA
    assert [event.outcome for event in told if isinstance(event, Installed)] == ["downloaded"]
    assert capfd.readouterr() == ("", "")
    assert_nothing_left(home / "models", "a.gguf")


def test_names_and_folder_are_as_asked(server: FaultyServer, tmp_path: Path) -> None:
    """Words as on the command line, also several in one text."""
    one, two = server.serve("/1.gguf", DATA), server.serve("/2.gguf", DATA)
    folder = tmp_path / "elsewhere"
    assert luci_dl.install(f"{one} {two}", folder=folder) == [folder / "1.gguf", folder / "2.gguf"]
    assert luci_dl.install(one, folder=str(folder), output="3.gguf") == [folder / "3.gguf"]


def test_errors_are_raised(server: FaultyServer, home: Path) -> None:
    """One tree, each with message and hint; the others are installed all the same."""
    bad, good = server.serve("/bad.gguf", DATA, [faults.login_page()]), server.serve("/good.gguf", DATA)
    with pytest.raises(IntegrityError, match="web page") as failed:
        luci_dl.install(bad, good)
    assert isinstance(failed.value, LuciError)
    assert failed.value.hint
    assert_nothing_left(home / "models", "good.gguf")
    with pytest.raises(ResolveError):
        luci_dl.install("nosuchmodel")
    with pytest.raises(UsageError):
        luci_dl.install()


def test_a_cancelled_install_leaves_nothing(server: FaultyServer, home: Path) -> None:
    """The token is cancelled from elsewhere, here by an event."""
    url = server.serve("/a.gguf", DATA * 10, [faults.stall(1_000_000)])
    token = luci_dl.CancelToken()
    told: list[Event] = []

    def emit(event: Event) -> None:
        told.append(event)
        if isinstance(event, Progress) and event.done:
            token.cancel()

    with pytest.raises(Interrupted):
        in_thread(lambda: luci_dl.install(url, token=token, emit=emit))
    assert Deleted("a.gguf") in told
    assert_nothing_left(home / "models")


def test_options_hold(server: FaultyServer, home: Path) -> None:
    """Kept when asked so, and cleaned then."""
    url = server.serve("/a.gguf", DATA * 40, [faults.cut(8_000_000), faults.status(500)])
    with pytest.raises(LuciError):
        luci_dl.install(url, options=Options(retries=0))
    assert ".luci/a.gguf.part" in files_left(home / "models")
    would = luci_dl.clean(dry_run=True)
    assert ".luci/a.gguf.part" in files_left(home / "models")
    assert in_thread(luci_dl.clean) == would
    assert would.freed >= 8_000_000
    assert_nothing_left(home / "models")


def test_a_transaction_without_commit_rolls_back(tmp_path: Path) -> None:
    """And with it the file stands, whoever brought the bytes."""
    artifact = luci_dl.Artifact("a.gguf", ("https://example.com/a.gguf",), sha256=sha256(DATA))

    def bring(commit: bool) -> None:
        with luci_dl.Transaction(tmp_path, [artifact]) as transaction:
            part = transaction.open(artifact)
            lease = part.claim()
            assert lease is not None
            part.begin(lease, Remote(artifact.urls[0], len(DATA), None), 0)
            part.write(lease, DATA)
            if commit:
                transaction.commit()

    in_thread(lambda: bring(commit=False))
    assert_nothing_left(tmp_path)
    in_thread(lambda: bring(commit=True))
    assert_nothing_left(tmp_path, "a.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == DATA


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_a_transaction_takes_bytes_from_anywhere(tmp_path: Path, size: int | None) -> None:
    """What the caller gives in blocks is proved and committed like a download, in any thread."""
    artifact = luci_dl.Artifact("m.gguf", ("usb:stick",), size=size, sha256=sha256(DATA))

    def work() -> None:
        with luci_dl.Transaction(tmp_path, [artifact], options=Options(min_free=0)) as transaction:
            transaction.fill(artifact, (DATA[at : at + 1000] for at in range(0, len(DATA), 1000)))
            assert not (tmp_path / "m.gguf").exists()
            transaction.commit()

    in_thread(work)
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    assert files_left(tmp_path) == [".luci/", ".luci/m.gguf.lock", ".luci/m.gguf.receipt", "m.gguf"]


@pytest.mark.parametrize("blocks", [[DATA[:-1]], [DATA, b"more"], [DATA[:-1], b"X"]])
def test_a_transaction_refuses_other_bytes_from_anywhere(tmp_path: Path, blocks: list[bytes]) -> None:
    """Too few, too many or wrong ones: nothing is installed, nothing left."""
    artifact = luci_dl.Artifact("m.gguf", ("usb:stick",), size=len(DATA), sha256=sha256(DATA))

    def work() -> None:
        with luci_dl.Transaction(tmp_path, [artifact], options=Options(min_free=0)) as transaction:
            transaction.fill(artifact, blocks)
            transaction.commit()

    with pytest.raises(LuciError):
        in_thread(work)
    assert_nothing_left(tmp_path)
