from __future__ import annotations

from luci_dl.events import (
    Cleaned,
    Deleted,
    Event,
    Failed,
    Hashing,
    Installed,
    NotDeleted,
    Progress,
    Started,
    Stopped,
    Waiting,
    Warned,
)
from luci_dl.ui.describe import describe
from luci_dl.ui.lines import Lines, Quiet
from tests.ui.samples import GB, LLAMA, MISTRAL, samples
from tests.ui.taps import Taps, Terminal


def waiting(pid: int, done: int) -> Waiting:
    return Waiting(LLAMA, pid, "host", None, None, done, 100, None)


class Clock:
    """A time that changes only when the test changes it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_shown_every_ten_seconds_at_most(taps: Taps) -> None:
    """A file is shown at once when it starts, then every ten seconds, independently of others."""
    clock = Clock()
    lines = Lines(taps.output, clock)
    lines(Started(LLAMA, 2 * GB, 0))
    for second in range(1, 26):
        clock.now += 1
        lines(Progress(LLAMA, second * 98_000_000, 2 * GB, 98e6))
        if second == 5:
            lines(Started(MISTRAL, None, 0))
    assert taps.err().splitlines() == [
        f"📥 Downloading {LLAMA}...  0% | Starting fresh",
        f"📥 Downloading {MISTRAL}...  0% | Starting fresh",
        f"📥 Downloading {LLAMA}...  49% | 980MB/2.0GB | 98MB/s | 0:11 left",
        f"📥 Downloading {LLAMA}...  98% | 2.0GB/2.0GB | 98MB/s | 0:01 left",
    ]


def test_waiting_is_shown_when_it_begins_and_when_the_holder_changes(taps: Taps) -> None:
    """The log does not fill up while another process downloads."""
    clock = Clock()
    lines = Lines(taps.output, clock)
    for second in range(15):
        lines(waiting(7 if second < 12 else 8, second))
        clock.now += 1
    assert taps.err().splitlines() == [
        "Waiting for pid 7 on host, 0 %",
        "Waiting for pid 7 on host, 10 %",
        "Waiting for pid 8 on host, 12 %",
    ]


def test_hashing_is_distinguished_from_downloading(taps: Taps) -> None:
    """A new kind of work on the same file is shown at once."""
    lines = Lines(taps.output, Clock())
    lines(Hashing(LLAMA, 0, 2 * GB))
    lines(Hashing(LLAMA, GB, 2 * GB))
    lines(Started(LLAMA, 2 * GB, GB))
    lines(Progress(LLAMA, GB, 2 * GB, 1.0))
    assert taps.err().splitlines() == [
        f"🔍 Checking {LLAMA}...  0% | 0B/2.0GB",
        f"📥 Downloading {LLAMA}...  Resuming at 50 % (1.0 GB verified)",
    ]


def test_results_go_to_stdout_and_messages_to_stderr(taps: Taps) -> None:
    """The final paths, and what clean removed, can be read by a program."""
    lines = Lines(taps.output)
    lines(Installed("a", ("/m/a.gguf", "/m/b.gguf"), GB, "already", 0, 0.0))
    lines(Cleaned("/m/.luci/c.part", "part", 0, True))
    lines(Warned("careful"))
    lines.close()
    assert taps.out() == "/m/a.gguf\n/m/b.gguf\nWould remove /m/.luci/c.part (0B)\n"
    assert taps.err() == "✅ a.gguf and 1 more file is already installed\n⚠️  careful\n"


def test_after_the_interrupt_no_progress_is_shown(taps: Taps) -> None:
    """A late event of a worker does not appear among the messages of the interrupt."""
    lines = Lines(taps.output)
    lines(Stopped(15))
    lines(Progress(LLAMA, 1, 2, 1.0))
    lines(Deleted(LLAMA))
    assert "Downloading" not in taps.err()


def test_on_a_terminal_the_interrupt_begins_on_a_fresh_line(terminal: Terminal) -> None:
    """The terminal has just echoed ^C."""
    Quiet(terminal.output)(Stopped(2))
    assert terminal.read() == "\r\n⚠️  Download interrupted by user\r\n"


def test_quiet_shows_only_problems_and_paths(taps: Taps) -> None:
    """Nothing else is shown."""
    events: list[Event] = [
        Started(LLAMA, None, 0),
        Warned("careful"),
        Installed("a", ("/m/a.gguf",), GB, "downloaded", GB, 1.0),
        Failed("b", "no", "do this", 4),
        Stopped(None),
        Deleted(LLAMA),
        NotDeleted(LLAMA, "Permission denied", "/m/.luci/x.part"),
    ]
    quiet = Quiet(taps.output)
    for event in events:
        quiet(event)
    quiet.close()
    assert taps.out() == "/m/a.gguf\n"
    assert taps.err().splitlines() == [
        "❌ no",
        "   do this",
        "⚠️  Download interrupted by user",
        "⚠️  Could not delete partial file: Permission denied",
        "📦 Partial file at: /m/.luci/x.part",
    ]


def test_the_channel_of_an_event_decides_where_it_is_shown(taps: Taps) -> None:
    """Results on stdout; progress and messages on stderr; the paths of an installed model also on stdout."""
    for event in samples():
        Lines(taps.output)(event)
        out, err = taps.out(), taps.err()
        assert bool(out) is (event.channel == "result" or isinstance(event, Installed)), event
        assert bool(err) is (event.channel != "result" and bool(describe(event))), event


def test_quiet_shows_what_is_a_problem(taps: Taps) -> None:
    """And nothing else, apart from the paths."""
    for event in samples():
        Quiet(taps.output)(event)
        assert bool(taps.err()) is event.is_problem, event
    names = {event.event_name() for event in samples() if event.is_problem}
    assert names == {"not_deleted", "stopped", "failed", "verified"}
