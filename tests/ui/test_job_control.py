"""A terminal belongs to the job in its foreground: luci moves the cursor there, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interrupting import DATA, assert_nothing_left
from tests.procs import LUCI, Spawned, wait_until
from tests.servers import FaultyServer, faults

FRAME = "\x1b[?25h"
"""How each frame ends."""
UP = re.compile(r"\x1b\[[0-9]+A")
STARTED = "Downloading m.gguf...  0% | Starting fresh"


class Shell:
    """An interactive bash on a terminal of its own, and what is on that since the last command."""

    def __init__(self, bash: Spawned) -> None:
        self._bash = bash
        self._seen = 0

    @property
    def new(self) -> str:
        return self._bash.out[self._seen :]

    def press(self, keys: str) -> None:
        self._seen = len(self._bash.out)
        self._bash.press(keys)

    def wait_for(self, text: str) -> str:
        """Wait until the text is among what is new, and return all that is."""
        wait_until(lambda: text in self.new, 20, f"{text!r} in {self._bash.out!r}")
        return self.new

    def interrupt(self, models: Path) -> None:
        """Press Ctrl+C when there is a part: the command deletes what it has, and ends of the signal."""
        wait_for_part(models)
        self.press("\x03")
        assert "interrupted by user" in self.wait_for("Deleted partial download")
        self.press("echo status $?\n")
        self.wait_for("status 130")
        assert_nothing_left(models)


def wait_for_part(models: Path) -> None:
    """The first answer has come."""
    wait_until(lambda: list(models.rglob("*.part")))


@pytest.fixture
def shell(server: FaultyServer) -> Iterator[Shell]:
    """`$URL` is a model that arrives in small pieces; no line is echoed, and no prompt shown."""
    url = server.serve("/m.gguf", DATA, [faults.trickle(len(DATA) / 60)])
    env = {"PS1": "", "HISTFILE": "", "TERM": "xterm", "URL": url}
    with Spawned("--norc", "--noediting", "-i", command=["bash"], terminal=True, env=env) as bash:
        shell = Shell(bash)
        shell.press(f"stty -echo; luci() {{ {' '.join(LUCI)} \"$@\"; }}; echo rea''dy\n")
        shell.wait_for("ready")
        yield shell
        shell.press("for job in $(jobs -p); do kill -- -$job; kill -CONT -- -$job; done; wait; exit\n")
        bash.wait(10)


def stop_bars(shell: Shell) -> None:
    """Press Ctrl+Z while an install draws bars."""
    shell.press('luci install -c 1 "$URL"\n')
    shell.wait_for("━")
    shell.press("\x1a")
    shell.wait_for("Stopped")


def test_a_background_job_prints_lines_and_in_the_foreground_bars(shell: Shell, home: Path) -> None:
    """Its lines move no cursor; its first bars are below what else is on the terminal."""
    shell.press('luci install -c 1 "$URL" &\n')
    shell.wait_for(STARTED)
    shell.press("sleep 0.5; echo of another program\n")
    assert "\x1b" not in shell.wait_for("of another program")
    shell.press("fg\n")
    assert not UP.search(shell.wait_for(FRAME))
    shell.interrupt(home / "models")


def test_ctrl_z_and_bg_leave_the_terminal_to_the_shell(shell: Shell, home: Path) -> None:
    """The last frame stays where it is; what follows are lines."""
    stop_bars(shell)
    shell.press("bg; sleep 0.5; echo of another program\n")
    assert "\x1b" not in shell.wait_for("of another program")
    shell.press("fg\n")
    assert not UP.search(shell.wait_for(FRAME))
    shell.interrupt(home / "models")


def test_after_ctrl_z_and_fg_the_bars_are_below_the_shells_words(shell: Shell, home: Path) -> None:
    """Nothing of what the shell wrote meanwhile is overwritten."""
    stop_bars(shell)
    shell.press("fg\n")
    assert not UP.search(shell.wait_for(FRAME).partition(FRAME)[0])
    shell.interrupt(home / "models")


def test_a_terminal_that_stops_background_output_does_not_stop_a_download(shell: Shell, home: Path) -> None:
    """After `stty tostop`, too, it says what it does, and goes on."""
    shell.press('stty tostop; luci install -c 1 --quiet "$URL/no" & luci install -c 1 "$URL" & wait %1; echo $?.\n')
    assert "❌" in shell.wait_for("3.\n")
    shell.wait_for(STARTED)
    shell.press("fg %2\n")
    shell.wait_for("━")
    shell.interrupt(home / "models")


def test_a_script_has_its_background_jobs_print_lines(shell: Shell, home: Path) -> None:
    """They are in the foreground group of the terminal, but Ctrl+C is ignored there."""
    luci = f'{" ".join(LUCI)} install -c 1 "$URL"'
    shell.press(f"sh -c '{luci} & sleep 2; echo of another program; kill $!; wait'\n")
    output = shell.wait_for("Deleted partial download")
    assert STARTED in output
    assert "\x1b" not in output
    assert_nothing_left(home / "models")


def test_watching_in_the_background_is_silent(shell: Shell) -> None:
    """A table that is drawn in place has no place there."""
    shell.press("luci status --watch &\n")
    shell.press("sleep 1.5; echo of another program\n")
    assert "Nothing is being" not in shell.wait_for("of another program")
    shell.press("fg\n")
    assert not UP.search(shell.wait_for("Nothing is being installed."))
    shell.press("\x1a")
    shell.wait_for("Stopped")


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(shell: Shell, home: Path, term: str) -> None:
    """From an install and from `status --watch`."""
    shell.press(f'export TERM={term}; luci install -c 1 "$URL"\n')
    shell.wait_for(STARTED)
    wait_for_part(home / "models")
    shell.press("\x03")
    shell.wait_for("Deleted partial download")
    assert "\x1b" not in shell.new
    shell.press("luci status --watch\n")
    shell.wait_for("Nothing is being installed.\n\nNothing")
    assert "\x1b" not in shell.new
    shell.press("\x1a")
    shell.wait_for("Stopped")
