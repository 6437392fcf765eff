from __future__ import annotations

from luci_dl.events import Deleted, Event, Failed, Hashing, Installed, Planned, Progress, Started, Stopped, Waiting
from luci_dl.ui.run_state import RunState
from tests.ui.samples import GB


def state_after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.update(event)
    return state


def installed(*paths: str) -> Installed:
    return Installed("a", paths, 2 * GB, "downloaded", 2 * GB, 20.0)


def test_the_total_counts_what_is_installed_and_what_runs() -> None:
    """Models, bytes, speed and time left of the whole run."""
    run = state_after(
        Planned(("a", "b", "c", "d"), 8 * GB, False),
        Progress("a", 2 * GB, 2 * GB, 1e8),
        installed("/m/a"),
        Failed("b", "", "", 4),
        Progress("c", GB, 2 * GB, 1e8),
    )
    assert run.total_line() == "1 of 4 models, 1 failed, 3.0GB of 8.0GB, 100MB/s, 0:50 left"


def test_a_total_that_is_a_lower_bound_says_so() -> None:
    """No time is shown that cannot be known."""
    run = state_after(Planned(("a", "b"), 8 * GB, True), Progress("a", GB, None, 1e8))
    assert run.total_line() == "0 of 2 models, 1.0GB of at least 8.0GB, 100MB/s"


def test_one_model_needs_no_total() -> None:
    """Its own bar shows the same."""
    assert state_after(Planned(("a",), GB, False)).total_line() == ""


def test_rows_go_when_their_file_ends() -> None:
    """Installed, deleted and failed files disappear; running ones stay."""
    a, b, x_a = Started("a", GB, 0), Progress("b", 1, GB, 1.0), Progress("x/a", 1, GB, 1.0)
    assert state_after(a, b, x_a, installed("/m/x/a")).rows() == [Progress("a", 0, GB, 0.0), b]
    assert state_after(a, b, Deleted("a")).rows() == [b]
    assert state_after(a, b, Failed("?", "", "", 4)).rows() == []


def test_a_complete_file_is_shown_only_when_nothing_else_runs() -> None:
    """Finished shards make room for the others."""
    done, running = Progress("a", GB, GB, 1.0), Hashing("b", 1, GB)
    assert state_after(done, running).rows() == [running]
    assert state_after(done).rows() == [done]


def test_waiting_gives_way_to_the_download() -> None:
    """When the lock is free, the file gets its bar."""
    run = state_after(Waiting("a", 1, None, None, None, None, None, None), Progress("a", 1, 2, 1.0))
    assert run.rows() == [Progress("a", 1, 2, 1.0)]


def test_nothing_runs_after_the_interrupt() -> None:
    """A late event of a worker brings no bar back."""
    run = state_after(Planned(("a", "b"), GB, False), Stopped(2), Progress("a", 1, 2, 1.0))
    assert (run.rows(), run.total_line()) == ([], "")
