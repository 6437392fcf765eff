"""clean, while others clean and install."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.library.clean import clean
from tests.disk.hands import KIB, gguf, install, kill_after
from tests.interrupting import wait_for_part
from tests.procs import Spawned, files_left, luci, wait_until
from tests.servers import FaultyServer, faults

DATA = gguf(64 * KIB)


def sweep(folder: Path) -> None:
    clean(folder, None, False, CancelToken(), lambda _event: None)


def test_many_cleans_at_once_are_one(tmp_path: Path) -> None:
    """None of them fails because another one was faster."""
    for name in map(str, range(30)):
        kill_after(tmp_path, DATA, 1 * KIB, f"{name}/{name}.gguf")
    errors = list[BaseException]()

    def work(dry_run: bool) -> None:
        try:
            clean(tmp_path, None, dry_run, CancelToken(), lambda _event: None)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number % 3 == 0,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    sweep(tmp_path)
    assert files_left(tmp_path) == []


def test_cleans_do_no_harm_to_installs_at_the_same_time(tmp_path: Path) -> None:
    """Every install ends with its file in place, whatever folders and locks beside it are removed meanwhile."""
    errors, stop = list[BaseException](), threading.Event()

    def guarded(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(lambda: sweep(tmp_path),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(40):
            names = [f"o{number % 3}/a{number}.gguf", f"o{number % 3}/b{number}.gguf"]
            install(tmp_path, *[(DATA, name) for name in names[: 1 + number % 2]])
            for name in names[: 1 + number % 2]:
                assert (tmp_path / name).read_bytes() == DATA
                assert receipt.read(staging_for(tmp_path, name).receipt)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_a_running_download_is_safe_from_clean(server: FaultyServer, home: Path) -> None:
    """In another terminal: it is left alone, and the pid is reported; after a kill it is removed."""
    url = server.serve("/m.gguf", DATA, [faults.stall(32 * KIB), faults.ok()])
    with Spawned("install", url) as run:
        wait_for_part(home / "models")
        ended = luci("clean")
        assert ended.returncode == 0
        assert f"held by pid {run.pid}" in ended.stderr
        part = staging_for(home / "models", "m.gguf").part
        wait_until(part.exists)
        run.signal(signal.SIGKILL)
        run.wait()
        assert part.exists()
    assert luci("clean").returncode == 0
    assert files_left(home / "models") == []
