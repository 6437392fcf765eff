"""Killed or signalled at each change that `move`, `export` and `import` make: one place always has all of the model."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from tests import crash_points
from tests.cli.shop import UNFINISHED
from tests.crash_points import Ended
from tests.disk.hands import gguf, install
from tests.procs import files_left, lock_is_free

FILES = {"set/m-1.gguf": gguf(40_000), "set/m-2.gguf": gguf(30_000, seed=1)}


class Moving:
    """An installed model of two files, and another folder for it."""

    def __init__(self, folder: Path, other: Path) -> None:
        self.home, self.models, self.other = folder / "home", folder / "home" / "models", other
        self._before = folder / "before"
        install(self._before / "models", *((data, name) for name, data in FILES.items()))
        (self._before / "config.json").write_text('{"min_free": 0}')

    def luci(self, *args: str | Path, point: int = -1, signum: int = 0) -> Ended:
        return crash_points.run(*map(str, args), home=self.home, env={}, point=point, signum=signum)

    def start(self) -> None:
        for folder in (self.home, self.other):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._before, self.home, copy_function=shutil.copy2)

    def move(self, **how: int) -> Ended:
        return self.luci("move", "m-1.gguf", "--to", self.other, **how)

    def points(self, *args: str | Path) -> range:
        self.start()
        ended = self.luci(*args)
        assert ended.code == 0, ended.err
        return range(ended.points)


@pytest.fixture(params=["the same disk", "another disk"])
def moving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Moving]:
    if request.param == "the same disk":
        yield Moving(tmp_path, tmp_path / "other")
        return
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        yield Moving(tmp_path, Path(other) / "other")


def is_whole(folder: Path) -> bool:
    """Whether all files of the model are there, right, and with receipts. No file there is wrong."""
    there = [name for name in FILES if (folder / name).exists()]
    assert all((folder / name).read_bytes() == FILES[name] for name in there)
    return len(there) == len(FILES) and all(receipt.read(staging_for(folder, name).receipt) for name in FILES)


def assert_tidy(*folders: Path) -> None:
    """Nothing unfinished is left in the folders, and no lock is held."""
    for folder in folders:
        left = files_left(folder) if folder.exists() else []
        assert not [name for name in left if name.endswith(UNFINISHED) or "rehearsal" in name]
        assert all(lock_is_free(folder / name) for name in left if name.endswith(".lock"))


def test_killed_anywhere_one_place_has_all_of_it(moving: Moving) -> None:
    """In turn, the next move completes it, or `clean` leaves nothing unfinished."""
    points = moving.points("move", "m-1.gguf", "--to", moving.other)
    assert is_whole(moving.other)
    assert files_left(moving.models) == [name for name in files_left(moving.models) if name.endswith((".lock", "/"))]
    for turn, point in enumerate(points[::2]):
        moving.start()
        assert moving.move(point=point, signum=signal.SIGKILL).code in (-signal.SIGKILL, 0)
        assert is_whole(moving.models) or is_whole(moving.other), point
        if turn % 2:
            assert moving.luci("clean").code == 0
            assert is_whole(moving.models) or is_whole(moving.other), point
            assert_tidy(moving.models, moving.other)
        ended = moving.move()
        assert ended.code == 0, (point, ended.err)
        assert is_whole(moving.other), point
        assert not any((moving.models / name).exists() for name in FILES)
        assert_tidy(moving.models, moving.other)


def test_signalled_anywhere_it_is_whole_in_one_place_alone(moving: Moving) -> None:
    """Before the commit the old place, afterwards the new one; nothing unfinished is left."""
    for point in moving.points("move", "m-1.gguf", "--to", moving.other)[::5]:
        moving.start()
        ended = moving.move(point=point, signum=signal.SIGINT)
        assert ended.code in (-signal.SIGINT, 0), ended.err
        assert "Traceback" not in ended.err
        assert is_whole(moving.models) != is_whole(moving.other), point
        there = moving.other if is_whole(moving.models) else moving.models
        assert not any((there / name).exists() for name in FILES), point
        assert_tidy(moving.models, moving.other)


def test_killed_anywhere_an_export_can_be_done_again(moving: Moving) -> None:
    """No file has its final name on the stick unless it is right."""
    for point in moving.points("export", "m-1.gguf", moving.other)[::6]:
        moving.start()
        moving.luci("export", "m-1.gguf", moving.other, point=point, signum=signal.SIGKILL)
        is_whole(moving.other)
        assert is_whole(moving.models)
        assert moving.luci("export", "m-1.gguf", moving.other).code == 0
        assert is_whole(moving.other)
        assert (moving.other / "SHA256SUMS").read_text().count("\n") == len(FILES)
        assert_tidy(moving.models, moving.other)


def test_killed_anywhere_an_import_can_be_done_again(moving: Moving, tmp_path: Path) -> None:
    """The stick stays as it is."""
    moving.start()
    assert moving.luci("export", "m-1.gguf", moving.other).code == 0
    before = files_left(moving.other)
    points = import_into(moving, tmp_path / "new").points
    for point in range(0, points, 6):
        target = tmp_path / str(point)
        import_into(moving, target, point=point, signum=signal.SIGKILL)
        is_whole(target)
        assert import_into(moving, target).code == 0
        assert is_whole(target)
        assert_tidy(target)
    assert files_left(moving.other) == before


def import_into(moving: Moving, target: Path, **how: int) -> Ended:
    return moving.luci("import", moving.other, "--dir", target, **how)
