"""Downloads drawn from seeds come right or fail cleanly; and the torture notices when luci does wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.disk import identity
from luci_dl.net import client, worker
from luci_dl.net.judge import judge
from luci_dl.net.response import RangeRequest, ResponseInfo
from luci_dl.net.retry import RetryBudget
from luci_dl.net.situation import Answer, Situation
from tests.torture.batch import arena, run, run_all, shrink
from tests.torture.case import Case, Trait, draw
from tests.torture.manners import MANNERS
from tests.torture.mishaps import MISHAPS

SEED = 20_261_127
SECONDS = 20.0
PLAIN = Case(0, "m.gguf", 300_001, False, "direct", 1, True, False, False, False, 1, "none", ())


@pytest.fixture(autouse=True)
def _arena(tmp_path: Path) -> Iterator[None]:
    with arena(tmp_path):
        yield


@pytest.fixture
def folder() -> Path:
    return Path(os.environ["LUCI_HOME"], "models")


def with_traits(*names: str, **changes: object) -> Case:
    """A plain case in which these go wrong, in the last run."""
    place = dict.fromkeys((name for group in MANNERS.values() for name in group), "manner")
    traits = tuple(Trait(place.get(name, "0"), name, seed=0) for name in names)
    return replace(PLAIN, traits=traits, **changes)  # type: ignore[arg-type]


@pytest.mark.timeout(120)
def test_whatever_servers_do_the_file_is_right_or_the_error_is_clean() -> None:
    """With the seeds that fit into the time. A failure names the command that repeats it."""
    for result in run_all(range(SEED, SEED + 10_000), until=time.monotonic() + SECONDS):
        assert not result.wrong, f"{result.wrong}\nscripts/torture --case {result.case.seed}\n{result.story}"


def test_a_seed_draws_the_same_case_each_time() -> None:
    """Otherwise nothing could be repeated."""
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


@pytest.mark.parametrize("name", [*MISHAPS, *(name for group in MANNERS.values() for name in group)])
def test_each_behaviour_alone_ends_as_its_table_says(folder: Path, name: str) -> None:
    """With a digest, after an honest beginning, all but the lies pass."""
    case = with_traits(name, digest=True, connections=3)
    assert not (result := run(case, folder)).wrong, result.story
    assert (result.outcome == "installed") or not case.must_pass


def _any_200_is_whole(request: RangeRequest, answer: Answer, situation: Situation) -> ResponseInfo:
    info = judge(request, answer, situation)
    return replace(info, is_range=False, size=info.length) if answer.status == 200 else info


def _appends(request: RangeRequest, answer: Answer, situation: Situation) -> ResponseInfo:
    info = judge(request, answer, situation)
    return replace(info, offset=request.start, size=situation.size or info.size)


BROKEN: dict[str, tuple[object, str, Callable[..., object], Case, str]] = {
    "any 200 is the whole file": (
        client, "judge", _any_200_is_whole, with_traits("range as 200"), "failed in run 0, though it passes",
    ),
    "a whole file is appended": (client, "judge", _appends, with_traits("no ranges"), "failed in run 0"),
    "a lie is believed": (
        identity, "check_digest", lambda *_: None, with_traits("flipped", digest=True, begun=False),
        "installed wrong bytes",
    ),
    "no delay between attempts": (
        RetryBudget, "record_failure", lambda *_: 0.0, with_traits(*["busy"] * 35), "in vain",
    ),
    "a foreign exception": (worker, "check_empty", lambda *_: 1 / 0, with_traits("chunked", "empty"), "ZeroDivision"),
}  # fmt: skip


@pytest.mark.parametrize(("owner", "name", "broken", "case", "wrong"), BROKEN.values(), ids=BROKEN)
def test_a_fault_of_luci_is_noticed(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    broken: Callable[..., object],
    case: Case,
    wrong: str,
) -> None:
    """Each of these is planted, and the case alone shows it."""
    assert not run(case, folder).wrong
    monkeypatch.setattr(owner, name, broken)
    assert wrong in (found := run(case, folder).wrong), found


def test_a_case_that_goes_wrong_is_made_smaller(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not matter is left out."""
    monkeypatch.setattr(client, "judge", _any_200_is_whole)
    case = with_traits("weak etag", "range as 200", "busy")
    smaller, dropped = shrink(run(case, folder), folder)
    assert [trait.name for trait in smaller.case.traits] == ["range as 200"]
    assert dropped == {0, 2}
