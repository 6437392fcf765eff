"""What cannot be read is said once, and never hides the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.errors import ResolveError, StorageError
from luci_dl.events import Event, Warned
from luci_dl.library.problems import Problems

DEAD = Path("/dead")
ERROR = StorageError("cannot read /dead: Input/output error", "Use another disk.")


def test_each_problem_is_one_warning() -> None:
    """With what to do about it, however often it is met."""
    events: list[Event] = []
    problems = Problems(events.append)
    for _ in range(3):
        problems(DEAD, ERROR)
    problems(Path("/gone"), ERROR)
    assert events == [Warned("cannot read /dead: Input/output error. Use another disk")] * 2
    assert len(problems) == 2


def test_what_is_not_found_may_be_where_nothing_could_be_read() -> None:
    """The error says so, with its own exit code, and the problem is not said twice."""
    events: list[Event] = []
    problems = Problems(events.append)

    def look() -> None:
        with problems.explain():
            problems(DEAD, ERROR)
            raise ResolveError("there is no model x")

    with pytest.raises(StorageError, match=r"no model x\. Not everything could be looked into: cannot read"):
        look()
    assert events == []


def test_where_all_could_be_read_the_error_stays() -> None:
    """And the warnings of what was found come at the end."""
    events: list[Event] = []
    problems = Problems(events.append)
    with pytest.raises(ResolveError, match=r"^there is no model x$"), problems.explain():
        raise ResolveError("there is no model x")
    with problems.explain():
        problems(DEAD, ERROR)
        assert events == []
    assert [type(event) for event in events] == [Warned]
