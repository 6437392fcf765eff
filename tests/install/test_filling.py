"""The files of one model are filled side by side, all or none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.part import Part
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, Interrupted, StorageError
from luci_dl.events import Event, Progress, Started
from luci_dl.install import filling
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import Copies
from luci_dl.install.transfer import Installation
from luci_dl.model import Artifact, Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from tests.disk.hands import digest_of, is_free, staged
from tests.procs import wait_until
from tests.servers import FaultyServer, faults
from tests.servers.faults import Fault

pytestmark = pytest.mark.usefixtures("small_files")

SMALL, LARGE = 20_000, (1 << 20) + 1
OPTIONS = Options(min_free=0)


class Mill:
    """A model of files on the server, each as long as its name says."""

    def __init__(self, server: FaultyServer, folder: Path) -> None:
        self.folder = folder
        self.token = CancelToken()
        self.heard: list[Event] = []
        self._server = server

    def sell(self, name: str, *wrong: Fault) -> Artifact:
        size = LARGE if name.startswith("large") else SMALL
        data = (name.encode() * size)[:size]
        return Artifact(name, (self._server.serve(f"/{name}", data, wrong),), size, digest_of(data))

    def install(self, artifacts: Sequence[Artifact], options: Options = OPTIONS) -> Transaction:
        """Raises: as `Installation.run`; then the transaction is that of the error."""
        plan, emit = Plan(Model("many", tuple(artifacts)), self.folder), self.heard.append
        transaction = Transaction(self.folder, artifacts, options=options, token=self.token, emit=emit)
        copies = Copies({}, (), (), caches=False, emit=emit)
        Installation(plan, transaction, InstallContext(options, Network(), copies, self.token, emit)).run()
        return transaction

    def begin(self, artifacts: Sequence[Artifact], options: Options = OPTIONS) -> Callable[[], list[BaseException]]:
        """Install them in a thread. Returns: what waits for its end, and returns the error, if there was one."""
        errors = list[BaseException]()

        def work() -> None:
            try:
                self.install(artifacts, options)
            except BaseException as error:  # noqa: BLE001 - returned
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()

        def end() -> list[BaseException]:
            thread.join(30)
            return errors

        return end

    def started(self) -> list[str]:
        return [event.name for event in self.heard if isinstance(event, Started)]

    def assert_ended(self, artifacts: Sequence[Artifact], *, installed: bool) -> None:
        """All of them or none, with nothing in the staging but receipts, and every lock free."""
        assert [(self.folder / each.name).exists() for each in artifacts] == [installed] * len(artifacts)
        assert staged(self.folder) == (sorted(f"{each.name}.receipt" for each in artifacts) if installed else [])
        assert all(is_free(self.folder, each.name) for each in artifacts)


@pytest.fixture
def mill(server: FaultyServer, tmp_path: Path) -> Mill:
    return Mill(server, tmp_path)


def test_small_files_do_not_wait_for_each_other(mill: Mill, server: FaultyServer) -> None:
    """As many as there are connections are under way at the same time."""
    artifacts = [mill.sell(f"{number}.bin", faults.stall(100)) for number in range(filling.FILES + 2)]
    end = mill.begin(artifacts)
    wait_until(lambda: len(mill.started()) == filling.FILES)
    server.release()
    assert end() == []
    mill.assert_ended(artifacts, installed=True)


def test_a_small_file_takes_one_thread(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that fills it works for its connection, too; a large file has threads beside that."""
    started, start = list[str](), threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    mill.install([mill.sell(f"{number}.bin") for number in range(3)])
    assert started.count("luci-file") == 3
    assert "luci-fetch" not in started
    mill.install([mill.sell("large.bin")])
    assert started.count("luci-fetch") == 1


def test_a_large_file_waits_for_no_small_one_and_lets_none_wait(mill: Mill, server: FaultyServer) -> None:
    """Some large ones are begun, wherever they are in the list; the others wait for one of these."""
    stalled = [faults.stall(100)]
    artifacts = [mill.sell(f"{number}.bin") for number in range(filling.FILES)]
    artifacts += [mill.sell(f"large-{number}.bin", *stalled) for number in range(filling.LARGE_FILES + 1)]
    artifacts += [mill.sell(f"late-{number}.bin") for number in range(filling.FILES)]
    end = mill.begin(artifacts)
    waits = f"large-{filling.LARGE_FILES}.bin"
    wait_until(lambda: set(mill.started()) == {each.name for each in artifacts} - {waits})
    server.release()
    assert end() == []
    mill.assert_ended(artifacts, installed=True)


def test_workers_end_when_only_large_files_are_left(mill: Mill, server: FaultyServer) -> None:
    """No more of them stay than can have one: each file has threads of its own."""
    artifacts = [mill.sell(f"{number}.bin") for number in range(filling.FILES)]
    artifacts += [mill.sell(f"large-{number}.bin", faults.stall(100)) for number in range(filling.LARGE_FILES + 1)]
    end = mill.begin(artifacts)

    def workers() -> int:
        return sum(thread.name == "luci-file" for thread in threading.enumerate())

    wait_until(lambda: len(mill.started()) == len(artifacts) - 1 and workers() <= filling.LARGE_FILES)
    server.release()
    assert end() == []
    mill.assert_ended(artifacts, installed=True)


def test_very_large_files_follow_each_other(mill: Mill, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is fetched alone, so that all connections and all memory are for it; the next begins while it is hashed."""
    monkeypatch.setattr(filling, "LARGE_BYTES", LARGE)
    artifacts = [mill.sell("large-1.bin"), mill.sell("large-2.bin", faults.stall(100)), mill.sell("large-3.bin")]
    verified, hash_it = threading.Event(), Part.verify

    def verify(part: Part, token: CancelToken) -> str:
        if part.artifact.name == "large-1.bin":
            assert verified.wait(20)
        return hash_it(part, token)

    monkeypatch.setattr(Part, "verify", verify)
    end = mill.begin(artifacts)
    wait_until(lambda: mill.started() == ["large-1.bin", "large-2.bin"])
    verified.set()
    server.release()
    assert end() == []
    assert mill.started() == [each.name for each in artifacts]
    mill.assert_ended(artifacts, installed=True)


def test_with_one_connection_one_file_follows_the_other(mill: Mill) -> None:
    artifacts = [mill.sell("a.bin"), mill.sell("large.bin"), mill.sell("z.bin")]
    mill.install(artifacts, Options(min_free=0, connections=1))
    running = set[str]()
    for event in mill.heard:
        if isinstance(event, Started):
            assert not running
            running.add(event.name)
        elif isinstance(event, Progress) and event.done == event.total:
            running.discard(event.name)
    mill.assert_ended(artifacts, installed=True)


def test_one_wrong_file_ends_it_for_all(mill: Mill) -> None:
    """At once, with its own error, though the others are still being fetched."""
    artifacts = [mill.sell(f"{number}.bin", faults.stall(100)) for number in range(5)]
    artifacts[3] = mill.sell("3.bin", faults.page(bytes(SMALL), "application/octet-stream"))
    (error,) = mill.begin(artifacts)()
    assert isinstance(error, IntegrityError)
    assert "3.bin" in error.message
    mill.assert_ended(artifacts, installed=False)


def test_an_interrupt_is_answered_while_files_hang(mill: Mill, server: FaultyServer) -> None:
    """Nothing is heard of them afterwards."""
    artifacts = [mill.sell(f"{number}.bin", faults.stall(100)) for number in range(5)]
    end = mill.begin(artifacts)
    wait_until(lambda: len(mill.started()) == len(artifacts))
    mill.token.cancel()
    (error,) = end()
    assert isinstance(error, Interrupted)
    heard = len(mill.heard)
    server.release()
    wait_until(lambda: not any(thread.name == "luci-file" for thread in threading.enumerate()))
    assert len(mill.heard) == heard
    mill.assert_ended(artifacts, installed=False)


def test_where_the_system_refuses_threads_the_caller_does_the_work(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or fewer workers do."""
    started = list[str]()
    real = start_thread

    def limited(work: Callable[[], object], name: str) -> threading.Thread:
        if len(started) == limit:
            raise StorageError("no thread")
        started.append(name)
        return real(work, name)

    monkeypatch.setattr(filling, "start_thread", limited)
    for limit in (0, 1):
        artifacts = [mill.sell(f"{limit}-{number}.bin") for number in range(4)]
        mill.install(artifacts)
        assert len(started) == limit
        assert all((mill.folder / each.name).stat().st_size == SMALL for each in artifacts)
