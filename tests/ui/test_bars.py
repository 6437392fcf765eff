from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from luci_dl.events import (
    Deleted,
    Event,
    Hashing,
    Installed,
    Planned,
    Progress,
    Retrying,
    Started,
    Stopped,
    Waiting,
    Warned,
)
from luci_dl.ui.bars import Bars
from luci_dl.ui.cells import cells
from tests.ui.samples import GB, LLAMA, MISTRAL, samples
from tests.ui.taps import Terminal

LONG = "OWNER/REPO/" + "a-very-" * 20 + "long-name-Q5_K_M.gguf"


class Run:
    """Bars on a pseudo-terminal, with its own clock: each event comes a second after the one before."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.now = 0.0
        self.bars = Bars(terminal.output, color=True, now=lambda: self.now)

    def show(self, *events: Event) -> list[str]:
        for event in events:
            self.now += 1
            self.bars(event)
            self.terminal.read()
        return self.terminal.screen()


@pytest.fixture
def run(terminal: Terminal) -> Run:
    return Run(terminal)


@pytest.fixture
def narrow_ascii() -> Iterator[Terminal]:
    terminal = Terminal(columns=40, encoding="ascii", emoji=False)
    yield terminal
    terminal.close()


def test_a_bar_shows_name_share_sizes_speed_and_time_left(run: Run) -> None:
    """One line for each running file, and one for the whole run; the quant stays readable."""
    *_, first, second, total = run.show(
        Planned(("a", "b"), 4 * GB, False),
        Progress(LLAMA, GB, 2 * GB, 98e6),
        Progress(LONG, 0, 2 * GB, 0.0),
    )
    assert first.startswith("llama-3.2…instruct-Q4_K_M.gguf ━")
    assert first.endswith(" 50% 1.0GB/2.0GB  98MB/s 0:11 left")
    assert "-name-Q5_K_M.gguf ━" in second
    assert second.endswith("   0%    0B/2.0GB")
    assert total == "0 of 2 models, 1.0GB of 4.0GB, 98MB/s, 0:31 left"


def test_no_line_of_the_live_region_is_wider_than_the_terminal(run: Run) -> None:
    """Bars, waiting and total are cut to fit at every width."""
    for columns in (80, 60, 40, 20, 200):
        run.terminal.resize(columns)
        run.terminal.widest = 0
        run.show(
            Progress(LONG, 999_400_000, 999 * GB, 999e6),
            Hashing(f"{LONG}2", 1, 2),
            Waiting("w", 4242, "host", "18:03", "luci install " + "mistral " * 30, 63, 100, 1.0),
        )
        assert 0 < run.terminal.widest < columns


@pytest.mark.parametrize("columns", [80, 40, 20])
@pytest.mark.parametrize(
    "name", ["日本語モデル漢字漢字漢字漢字", "e\u0301" * 40, "👩\u200d💻👍🏽⚠️" * 5, "\x1b[31m" * 5]
)
def test_names_of_any_script_leave_the_figures_in_place(run: Run, name: str, columns: int) -> None:
    """Wide letters, marks, joined emoji and escapes are cut by the columns that they take."""
    run.terminal.resize(columns)
    wide, plain = run.show(Progress(f"{name}-Q4_K_M.gguf", GB, 2 * GB, 98e6), Progress("a" * 99, GB, 2 * GB, 98e6))
    figures = {80: " 50% 1.0GB/2.0GB  98MB/s 0:11 left", 40: " 50% 1.0GB/2.0GB  98MB/s", 20: " 50%"}[columns]
    assert wide.endswith(figures)
    assert plain.endswith(figures)
    assert "_M.gguf " in wide
    assert run.terminal.widest < columns
    if columns == 80:
        assert len({cells(line.partition("━")[0]) for line in (wide, plain)}) == 1


def test_sixty_columns_have_room_for_a_bar(run: Run) -> None:
    """The bar is dropped before a name is cut to nothing, but not earlier."""
    run.terminal.resize(60)
    (row,) = run.show(Progress(LLAMA, GB, 2 * GB, 98e6))
    assert re.search("gguf [━╸]+ +50% 1.0GB/2.0GB  98MB/s 0:11 left$", row)
    run.terminal.resize(40)
    (row,) = run.show(Progress(LLAMA, GB, 2 * GB, 98e6))
    assert "━" not in row
    assert "50%" in row


def test_colours_are_the_terminals_own(run: Run) -> None:
    """Other shades might be invisible on a light or a dark background."""
    run.show(Progress(LLAMA, GB, 2 * GB, 98e6), Hashing(MISTRAL, 1, 2))
    assert set(re.findall(r"\x1b\[([0-9;]*)m", run.terminal.raw)) == {"0", "36", "90"}


def test_messages_are_above_the_bars(run: Run) -> None:
    """Messages stay, in order, and the bar is below them."""
    screen = run.show(
        Started(LLAMA, 2 * GB, 0),
        Progress(LLAMA, GB, 2 * GB, 98e6),
        Retrying(LLAMA, "connection reset", 8.0, 2, 10),
        Warned("careful"),
        Progress(LLAMA, GB, 2 * GB, 98e6),
    )
    assert [line[:8] for line in screen] == ["📥 Downlo", "Retrying", "⚠️  care", "llama-3."]


def test_waiting_is_one_line_updated_in_place(run: Run) -> None:
    """Each event replaces the line of the one before."""
    waits = [Waiting(LLAMA, 4242, "host", None, None, done, 100, None) for done in range(30)]
    assert run.show(*waits) == ["Waiting for pid 4242 on host, 29 %"]


def test_an_interrupt_removes_the_bars_and_shows_the_cursor(run: Run) -> None:
    """Only the messages remain, even where the terminal has echoed ^C, and a late event of a worker changes nothing."""
    run.show(Planned(("a", "b"), GB, False), Progress(LLAMA, 1, 2, 1.0), Progress(MISTRAL, 1, 2, 1.0))
    run.terminal.output.err.write("^C")
    screen = run.show(Stopped(2), Progress(LLAMA, 2, 2, 1.0), Deleted(LLAMA))
    assert screen[1:] == [
        "⚠️  Download interrupted by user",
        f"🗑️  Deleted partial download: {LLAMA}",
        "   Run the install command again to restart",
    ]
    assert run.terminal.raw.endswith("\x1b[?25h")


def test_close_removes_the_bars(run: Run) -> None:
    """No bar is left, and the cursor is visible, even without any message."""
    assert len(run.show(Progress(LLAMA, 1, 2, 1.0))) == 1
    run.bars.close()
    assert run.terminal.screen() == []
    assert run.terminal.cursor_shown


def test_the_final_path_is_printed_between_the_message_and_the_bars(run: Run) -> None:
    """On a terminal that shows both streams, they do not mix."""
    screen = run.show(
        Progress(LLAMA, 1, 2, 1.0),
        Progress(MISTRAL, 1, 2, 1.0),
        Installed("a", (f"/m/{LLAMA}",), 2 * GB, "downloaded", 2 * GB, 20.0),
    )
    assert screen[:2] == [f"✅ Installed {LLAMA} (2.0GB, 100MB/s)", f"/m/{LLAMA}"]
    assert len(screen) == 3
    assert screen[2].startswith("mistral")


def test_frames_are_a_tenth_of_a_second_apart(run: Run) -> None:
    """Frequent progress does not keep the terminal busy."""
    run.show(Progress(LLAMA, 1, 1000, 1.0))
    frames = 0
    for i in range(100):
        run.now += 0.01
        run.bars(Progress(LLAMA, i, 1000, 1.0))
        frames += bool(run.terminal.read())
    assert 8 <= frames <= 11


def test_nothing_is_written_when_nothing_changed(run: Run) -> None:
    """A frame like the one before is not drawn."""
    run.show(Progress(LLAMA, 1, 2, 1.0))
    before = run.terminal.raw
    run.show(Progress(LLAMA, 1, 2, 1.0))
    assert run.terminal.raw == before


def test_a_narrower_terminal_has_its_wrapped_bars_overwritten(run: Run) -> None:
    """The live region knows how many rows its lines take now."""
    run.terminal.resize(100)
    run.show(Progress(LLAMA, 1, 2, 1.0), Progress(MISTRAL, 1, 2, 1.0))
    run.terminal.resize(45)
    run.bars.close()
    assert run.terminal.read() == "\x1b[?25l\r\x1b[4A\x1b[J\x1b[?25h"


def test_more_files_than_rows_leave_the_terminal_in_order(run: Run) -> None:
    """Rows that do not fit are not drawn, so that every frame covers the one before."""
    run.terminal.resize(80, lines=5)
    assert len(run.show(*(Progress(f"{i}.gguf", 1, 2, 1.0) for i in range(20)))) == 4


def test_names_with_escape_sequences_are_neutralised(run: Run) -> None:
    """No event makes a terminal do anything but show text; the terminal raises on any other sequence."""
    for event in samples("evil\x1b[2J\u202e.gguf", "bad\x1b]0;title\x07"):
        run.show(event)
    assert "\x1b[2J" not in run.terminal.raw
    assert "\x1b]" not in run.terminal.raw
    assert "\u202e" not in run.terminal.raw


def test_an_ascii_terminal_gets_ascii(narrow_ascii: Terminal) -> None:
    """Bars, shortened names and messages avoid what the encoding lacks, and keep their width."""
    Run(narrow_ascii).show(Progress("café-" * 9 + "Q4_K_M.gguf", 1, 2, 1.0), Warned("careful"))
    assert narrow_ascii.raw.isascii()
    assert narrow_ascii.widest < 40
    assert "\\u2026" not in narrow_ascii.raw
    assert "Warning: careful" in narrow_ascii.raw


def test_without_colour_none_is_written(terminal: Terminal) -> None:
    """NO_COLOR means no colour at all."""
    Bars(terminal.output, color=False)(Progress(LLAMA, 1, 2, 1.0))
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.read())
