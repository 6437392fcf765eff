"""Many cases side by side, and what must hold after all of them; a case that went wrong is made smaller."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.procs import wait_until
from tests.torture.case import Case, draw
from tests.torture.trial import Trial, Wrong
from tests.torture.world import authority, small_world

SIDE_BY_SIDE = 4
SHRINK_S = 60.0


@dataclass(frozen=True)
class Result:
    """Attributes:
    outcome: how the case ended, in one word or two.
    wrong: what luci must not do; empty when all was right.
    story: the requests and messages, of a wrong one.
    """

    case: Case
    outcome: str
    wrong: str = ""
    story: str = ""


def run(case: Case, folder: Path) -> Result:
    """Try one case in a folder that may be emptied."""
    trial = Trial(case, folder)
    try:
        outcome = trial.run()
    except Wrong as wrong:
        return Result(case, "wrong", str(wrong), trial.story)
    return Result(case, outcome)


def run_all(seeds: Sequence[int], until: float = float("inf")) -> Iterator[Result]:
    """Try the cases of the seeds that can be begun before that time; then check that nothing is left in the process.

    Raises: AssertionError, when threads or descriptors are left.
    """
    before = _descriptors()
    folders = threading.local()

    def try_one(seed: int) -> Result | None:
        if time.monotonic() >= until:
            return None
        if not hasattr(folders, "own"):
            folders.own = Path(tempfile.mkdtemp(dir=os.environ["LUCI_HOME"]), "models")
        return run(draw(seed), folders.own)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield from filter(None, pool.map(try_one, seeds))
    wait_until(lambda: not _threads(), what=f"the end of {_threads()}")
    wait_until(lambda: not _descriptors() - before, what=f"the end of {_descriptors() - before}")


def shrink(result: Result, folder: Path) -> tuple[Result, set[int]]:
    """Leave out what is not needed to go wrong. Returns: the smaller result, and which traits it lacks."""
    case, dropped, deadline = result.case, set[int](), time.monotonic() + SHRINK_S
    for n in range(len(case.traits)):
        smaller = run(case.without({*dropped, n}), folder)
        if time.monotonic() > deadline:
            break
        if smaller.wrong:
            result, dropped = smaller, {*dropped, n}
    return result, dropped


def batch(seeds: list[int], seconds: float) -> list[Result]:
    """Try the cases of the seeds in this process, for that long; what goes wrong is made smaller."""
    with arena():
        results = list(run_all(seeds, time.monotonic() + seconds))
        folder = Path(os.environ["LUCI_HOME"], "shrink")
        return [_shrunk(result, folder) if result.wrong else result for result in results]


def _shrunk(result: Result, folder: Path) -> Result:
    smaller, dropped = shrink(result, folder)
    leaving = f" --without {','.join(map(str, sorted(dropped)))}" if dropped else ""
    command = f"scripts/torture --case {result.case.seed}{leaving}"
    return Result(smaller.case, "wrong", f"{smaller.wrong}\n  {command}", smaller.story)


@contextmanager
def arena(parent: Path | None = None) -> Iterator[None]:
    """A home folder of its own, and the small world."""
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix="torture-") as home,
        patch.dict(os.environ, {"LUCI_HOME": home, "HOME": home, "NO_PROXY": "*", "SSL_CERT_FILE": f"{home}/ca.pem"}),
        small_world(),
    ):
        authority().cert_pem.write_to_path(f"{home}/ca.pem")
        yield


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("luci-fetch")]


def _descriptors() -> set[str]:
    """The sockets, pipes and files that are open; those of objects that nobody has end with them."""
    gc.collect()
    found = set()
    for link in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # the folder's own, which is closed by now
            found.add(os.readlink(link))
    return found
