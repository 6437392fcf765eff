"""Killed or signalled before and after every change to the disk: the target is right or untouched.

luci is killed once at each point. Points that leave the same state on the disk share one recovery from it.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import commit, journal
from luci_dl.disk.layout import staging_for
from tests import crash_points
from tests.crash_points import Ended
from tests.crash_states import state_of
from tests.disk.hands import digest_of, install
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer, faults

pytestmark = pytest.mark.timeout(240)  # hundreds of processes each, which take their time on a busy machine

NEW = [(make_gguf(230_000, seed), name) for seed, name in enumerate(("a.gguf", "b.gguf"))]
OLD = [(make_gguf(90_000, seed), name) for seed, name in ((7, "a.gguf"), (8, "b.gguf"))]
BIG = [(make_gguf(300_000, 9), "a.gguf")]
SCENARIOS = {
    "one file": (NEW[:1], []),
    "a set": (NEW, []),
    "an older file": (NEW[:1], OLD[:1]),
    "older": (NEW, OLD),
    "many connections": (BIG, []),
    "a small file": (NEW[:1], OLD[:1]),
    "small files": (NEW, OLD),
    "a small and a large file": ([NEW[0], (BIG[0][0], "b.gguf")], []),
}
Files = list[tuple[bytes, str]]


class Case:
    """One models folder, in which a run ends at one point."""

    def __init__(self, home: Path, server: FaultyServer, new: Files, old: Files, small: int) -> None:
        self.home, self.models = home, home / "models"
        self._small = small
        self.new, self.old = new, old
        self._server = server
        self._runs = 0
        home.mkdir()
        install(self.models, *old) if old else self.models.mkdir()

    def luci(self, *args: str, point: int = -1, signum: int = 0) -> Ended:
        """Run it; each run has addresses of its own, so that the server counts its bytes separately."""
        self._runs += 1
        catalog = self.home / "catalog.toml"
        catalog.write_text("\n".join(['[[model]]\nname = "m"', *map(self._entry, self.new)]))
        (self.home / "config.json").write_text('{"min_free": 0}')
        env = {"LUCI_CATALOG": str(catalog)}
        return crash_points.run(*args, home=self.home, env=env, point=point, signum=signum, small=self._small)

    def install(self, point: int = -1, signum: int = 0) -> Ended:
        many = ["-c", "4"] if self.new == BIG else []
        return self.luci("install", "m", "--force", *many, point=point, signum=signum)

    def _entry(self, file: tuple[bytes, str]) -> str:
        data, name = file
        url = self._server.url(self._target(name))
        return f'[[model.file]]\nfilename = "{name}"\nurl = "{url}"\nsize = {len(data)}\nsha256 = "{digest_of(data)}"'

    def _target(self, name: str) -> str:
        return f"/{name}?{self.home.name}-{self._runs}"

    def state(self) -> str:
        """The state of the disk; the next run cannot tell equal states apart."""
        return state_of(self.models, r"\?home[\w-]+")

    def sent(self) -> int:
        """Bytes that the server sent in the last run."""
        return sum(self._server.sent(self._target(name)) for _, name in self.new)

    def is_new(self, name: str) -> bool:
        """Whether the target is the new file; else it must be the old one, or absent as before."""
        target = self.models / name
        there = target.read_bytes() if target.exists() else None
        new, old = (next((data for data, known in files if known == name), None) for files in (self.new, self.old))
        assert there in (new, old)
        return there == new

    def has_record(self) -> bool:
        """Whether there is a commit record."""
        return commit.read_record(staging_for(self.models, "a.gguf").commit) is not None

    def missing(self) -> int:
        """Bytes of the new files that the next run must fetch."""
        return 0 if self.has_record() else sum(len(data) - self._proved(data, name) for data, name in self.new)

    def _proved(self, data: bytes, name: str) -> int:
        staging = staging_for(self.models, name)
        log = journal.read(staging.journal)
        if self.is_new(name):
            return len(data)
        return log.proved if log and staging.part.exists() else 0

    def assert_installed(self) -> None:
        assert {self.is_new(name) for _, name in self.new} == {True}
        self.assert_nothing_left()
        assert len([name for name in files_left(self.models) if name.endswith(".receipt")]) == len(self.new)

    def assert_nothing_left(self, *, locks: bool = True) -> None:
        """Nothing but the targets, receipts of installed files, and idle locks."""
        targets = [name for name in files_left(self.models) if name.endswith(".gguf")]
        receipts = [f".luci/{name}.receipt" for name in targets]
        idle = [f".luci/{name}.lock" for _, name in self.new]
        left = {name for name in files_left(self.models) if name != ".luci/"}
        assert left - set(targets) - set(receipts) <= set(idle if locks else ())
        assert all(lock_is_free(self.models / name) for name in idle)


class Matrix:
    """One scenario, interrupted at every point."""

    def __init__(self, folder: Path, server: FaultyServer, scenario: str) -> None:
        self._folder, self._server = folder, server
        self._new, self._old = SCENARIOS[scenario]
        self._small = 250_000 if "small" in scenario else 0
        for data, name in self._new:
            server.serve(f"/{name}", data, faults=[faults.trickle(2e6)] if self._new == BIG else [])

    def check(self, check: Callable[[Case, int], None]) -> None:
        """Call `check` for each point, with a fresh folder."""
        ended = list[Ended]()
        self._at(-1, lambda case, _: ended.append(case.install()))
        assert ended[0].code == 0, ended[0].err
        assert ended[0].points > 20
        for point in range(ended[0].points):
            self._at(point, check)

    def _at(self, point: int, check: Callable[[Case, int], None]) -> None:
        case = Case(self._folder / f"home{point}", self._server, self._new, self._old, self._small)
        try:
            check(case, point)
        except BaseException as error:
            error.add_note(f"at point {point}: {files_left(case.models)}")
            raise
        shutil.rmtree(case.home)


@pytest.fixture(params=SCENARIOS)
def matrix(request: pytest.FixtureRequest, tmp_path: Path, server: FaultyServer) -> Matrix:
    return Matrix(tmp_path, server, request.param)


def test_killed_anywhere_the_next_install_completes(matrix: Matrix) -> None:
    """Targets are old or new, a set is mixed only beside its commit record, verified bytes are not fetched again."""
    recovered: set[str] = set()

    def check(case: Case, point: int) -> None:
        killed = case.install(point, signal.SIGKILL)
        assert killed.code in (-signal.SIGKILL, 0)
        assert len({case.is_new(name) for _, name in case.new}) == 1 or case.has_record()
        if is_known(case.state(), recovered):
            return
        missing = case.missing()
        again = case.install()
        assert again.code == 0, again.err
        assert case.sent() == missing or case.new == BIG  # a connection that gives up a part of its segment gets more
        case.assert_installed()

    matrix.check(check)


def test_killed_anywhere_clean_leaves_only_receipts_of_installed_files(matrix: Matrix) -> None:
    """All of the set or none of it, no part, no journal, no lock; and the next install completes."""
    recovered: set[str] = set()

    def check(case: Case, point: int) -> None:
        case.install(point, signal.SIGKILL)
        if is_known(case.state(), recovered):
            return
        cleaned = case.luci("clean")
        assert cleaned.code == 0, cleaned.err
        assert len({case.is_new(name) for _, name in case.new}) == 1
        case.assert_nothing_left(locks=False)
        if not is_known(case.state(), recovered):
            assert case.install().code == 0
            case.assert_installed()

    matrix.check(check)


def is_known(state: str, states: set[str]) -> bool:
    """Whether the state was seen before; it is added."""
    known = state in states
    states.add(state)
    return known


def test_signalled_anywhere_nothing_is_left(matrix: Matrix) -> None:
    """It dies of the signal with the old files in place, or with all new files and their receipts."""

    def check(case: Case, point: int) -> None:
        signum = (signal.SIGINT, signal.SIGTERM)[point % 2]
        ended = case.install(point, signum)
        assert ended.code in (-signum, 0), ended.err
        assert "Traceback" not in ended.err
        states = {case.is_new(name) for _, name in case.new}
        assert len(states) == 1
        if states == {True}:
            case.assert_installed()
        else:
            case.assert_nothing_left()
            assert len([name for name in files_left(case.models) if name.endswith(".receipt")]) == len(case.old)

    matrix.check(check)
