"""Hundreds of small files are shown as one; what else happens is shown as it is."""

from __future__ import annotations

from luci_dl.events import (
    Deleted,
    Event,
    Installed,
    Kept,
    Progress,
    Retrying,
    SmallFiles,
    Started,
    Stopped,
    Warned,
)
from luci_dl.ui.as_one import AsOne
from luci_dl.ui.lines import Lines
from luci_dl.ui.render_thread import Renderer
from tests.ui.samples import samples
from tests.ui.taps import Taps

NAMES = tuple(f"m/{number}.bin" for number in range(300))
FILES = SmallFiles("hf:o/m", NAMES, 300 * 1000)
ALL = "300 small files"


class Heard(Renderer):
    """Keeps the events, and the time that the test says it is."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = 0.0
        self.shown = AsOne(self, lambda: self.now)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def after(self, *events: Event) -> list[Event]:
        """What is shown of these."""
        self.events.clear()
        for event in events:
            self.shown(event)
        return list(self.events)


def test_their_progress_is_a_sum() -> None:
    """With the rate since the first one began; what was there before does not count for that."""
    heard = Heard()
    assert heard.after(FILES) == [Started(ALL, 300_000, 0)]
    assert heard.after(Started(NAMES[0], 1000, 400)) == [Progress(ALL, 400, 300_000, 0.0)]
    heard.now = 2.0
    assert heard.after(Progress(NAMES[0], 1000, 1000, 5.0)) == [Progress(ALL, 1000, 300_000, 300.0)]
    assert heard.after(Progress(NAMES[1], 500, 1000, 5.0)) == [Progress(ALL, 1500, 300_000, 550.0)]
    installed = Installed("hf:o/m", NAMES, 300_000, "downloaded", 300_000, 2.0)
    assert heard.after(installed) == [Progress(ALL, 300_000, 300_000, 0.0), installed]


def test_files_that_are_not_among_them_are_shown_as_they_are() -> None:
    """And so is everything else."""
    heard = Heard()
    heard.after(FILES)
    others = [Started("m/large.bin", 1 << 30, 0), Progress("m/large.bin", 1, 1 << 30, 1.0), Warned("of that")]
    assert heard.after(*others) == others


def test_without_small_files_nothing_changes() -> None:
    heard = Heard()
    events = [event for event in samples() if not isinstance(event, SmallFiles)]
    assert heard.after(*events) == events


def test_retries_of_all_at_once_are_one_message() -> None:
    """Until the next attempt."""
    heard = Heard()
    heard.now = 1.0
    heard.after(FILES)
    lost = [Retrying(name, "no network", 4.0, 1, 10) for name in NAMES]
    assert heard.after(*lost) == [Retrying(ALL, "no network", 4.0, 1, 10)]
    heard.now = 5.0
    assert heard.after(Retrying(NAMES[9], "no network", 8.0, 2, 10)) == [Retrying(ALL, "no network", 8.0, 2, 10)]


def test_what_became_of_their_parts_is_one_message() -> None:
    """Before the next message, or when the output ends."""
    heard = Heard()
    heard.after(FILES, Stopped(2))
    between = [Deleted(NAMES[0]), Deleted("large.gguf"), Deleted(NAMES[1])]
    assert heard.after(*between, Warned("after")) == [Deleted("large.gguf"), Deleted("2 small files"), Warned("after")]
    gone, kept = [Deleted(name) for name in NAMES[:200]], [Kept(name, 1000, 1000) for name in NAMES[200:]]
    assert heard.after(*gone, Warned("after")) == [Deleted("200 small files"), Warned("after")]
    assert heard.after(*kept) == []
    heard.shown.close()
    assert heard.events == [Kept("100 small files", 100_000, 300_000)]


def test_a_log_has_few_lines(taps: Taps) -> None:
    """One when they begin, and one every ten seconds."""
    heard = Heard()
    shown = AsOne(Lines(taps.output, lambda: heard.now), lambda: heard.now)
    shown(FILES)
    for name in NAMES:
        heard.now += 0.05
        shown(Started(name, 1000, 0))
        shown(Progress(name, 1000, 1000, 1.0))
    assert taps.err().splitlines() == [
        f"📥 Downloading {ALL}...  0% | Starting fresh",
        f"📥 Downloading {ALL}...  66% | 199kB/300kB | 20kB/s | 0:06 left",
    ]
