"""What an interrupt leaves of a run, what the next run makes of it, and what else may happen at a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from luci_dl.disk.lock import read_lock_info
from tests.interrupting import (
    DATA,
    DELETED,
    HALF,
    SOON_S,
    STOPPED,
    assert_nothing_left,
    held,
    interrupt,
    patched,
    wait_for_part,
)
from tests.procs import IN_TERMINAL, LUCI, ROOT, Spawned, luci, wait_until
from tests.servers import FaultyServer, faults

KEPT = re.compile(r"📦 Kept partial download: m\.gguf \((\d+) %\)\n   Run the install command again to resume\n")


@pytest.fixture
def models(home: Path) -> Path:
    return home / "models"


def addresses(server: FaultyServer, **scripts: faults.Fault) -> list[str]:
    return [server.serve(f"/{name}.gguf", DATA, faults=[fault]) for name, fault in scripts.items()]


def summary(**lines: Sequence[str]) -> str:
    """The last words of a run over several models."""
    rows = [f"   {title.replace('_', ' ').capitalize()}: {', '.join(names)}\n" for title, names in lines.items()]
    return "Summary:\n" + "".join(rows)


# --- several models


def test_finished_models_stay_and_each_is_accounted_for(server: FaultyServer, models: Path) -> None:
    """The summary says what was installed, interrupted, and not started."""
    one, two, three = addresses(server, one=faults.ok(), two=faults.stall(HALF), three=faults.ok())
    with Spawned("install", one, two, three) as run:
        wait_for_part(models, "two.gguf")
        took = interrupt(run, [signal.SIGINT])
        assert run.process.returncode == -signal.SIGINT
        said = summary(installed=[one], interrupted=[two], not_started=[three])
        assert run.err.endswith(STOPPED + DELETED.format("two.gguf") + said)
        assert run.out == f"{models / 'one.gguf'}\n"
    assert_nothing_left(models, "one.gguf")
    assert (models / "one.gguf").read_bytes() == DATA
    assert took < SOON_S


def test_models_side_by_side_are_all_interrupted(server: FaultyServer, models: Path) -> None:
    """One line for each part deleted."""
    one, two, three, four = addresses(
        server, one=faults.ok(), two=faults.stall(HALF), three=faults.stall(HALF), four=faults.ok()
    )
    with Spawned("install", one, two, three, four, "-j", "2") as run:
        wait_for_part(models, "two.gguf")
        wait_for_part(models, "three.gguf")
        took = interrupt(run, [signal.SIGINT])
        assert run.process.returncode == -signal.SIGINT
        said = summary(installed=[one], interrupted=[two, three], not_started=[four])
        assert run.err.endswith(STOPPED + DELETED.format("two.gguf") + DELETED.format("three.gguf") + said)
    assert_nothing_left(models, "one.gguf")
    assert took < SOON_S


# --- after the last rename, and with --keep-partial


AT_THE_RENAME = """
from luci_dl.disk import fs
rename = fs.rename
def renamed(old, new):
    rename(old, new)
    if new.name == "one.gguf":
        os.kill(os.getpid(), 15)
fs.rename = renamed
"""


def test_a_signal_after_the_last_rename_leaves_the_model_installed(server: FaultyServer, models: Path) -> None:
    """Receipt and all; the process dies of the signal nevertheless."""
    with Spawned("install", *addresses(server, one=faults.ok()), command=patched(AT_THE_RENAME)) as run:
        assert run.wait() == -signal.SIGTERM
        assert "✅ Installed one.gguf" in run.err
        assert STOPPED not in run.err
    assert_nothing_left(models, "one.gguf")


AT_THE_VERY_END = """
from contextlib import contextmanager
from luci_dl.cli import session
heard = session.signals_cancel
@contextmanager
def late(token):
    with heard(token) as signums:
        yield signums
        os.kill(os.getpid(), 15)
session.signals_cancel = late
"""


def test_no_signal_is_lost_at_the_very_end(server: FaultyServer, models: Path) -> None:
    """One that comes when all is said still kills."""
    with Spawned("install", *addresses(server, one=faults.ok()), command=patched(AT_THE_VERY_END)) as run:
        assert run.wait() == -signal.SIGTERM
    assert_nothing_left(models, "one.gguf")


def test_what_was_not_started_then_is_said(server: FaultyServer, models: Path) -> None:
    """A signal between two models interrupts the run, though no download."""
    one, two = addresses(server, one=faults.ok(), two=faults.ok())
    with Spawned("install", one, two, command=patched(AT_THE_RENAME)) as run:
        assert run.wait() == -signal.SIGTERM
        assert run.err.endswith(STOPPED + summary(installed=[one], not_started=[two]))
    assert_nothing_left(models, "one.gguf")


@pytest.mark.parametrize("by", ["flag", "config"])
def test_a_kept_part_is_resumed(server: FaultyServer, home: Path, models: Path, by: str) -> None:
    """With --keep-partial, or on_interrupt in the settings; the next run fetches only what is missing."""
    if by == "config":
        home.mkdir()
        (home / "config.json").write_text('{"on_interrupt": "keep"}')
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF), faults.ok()])
    with Spawned("install", url, *(["--keep-partial"] if by == "flag" else [])) as run:
        assert server.stalled.wait(10)
        wait_until(lambda: (holder := read_lock_info(models / ".luci" / "m.gguf.lock")) and holder.done)
        interrupt(run, [signal.SIGINT])
        assert run.process.returncode == -signal.SIGINT
        kept = KEPT.fullmatch(run.err.partition(STOPPED)[2])
        assert kept
    again = luci("install", url)
    assert (again.returncode, f"Resuming at {kept[1]} % (" in again.stderr) == (0, True)
    start = len(DATA) - server.exchanges()[-1].sent
    assert server.exchanges()[-1].headers["range"] == f"bytes={start}-"
    assert start * 100 // len(DATA) == int(kept[1])
    assert_nothing_left(models, "m.gguf")


def test_after_an_interrupt_the_next_run_starts_fresh(server: FaultyServer, models: Path) -> None:
    """Nothing of the first run counts."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF), faults.ok()])
    with Spawned("install", url) as run:
        wait_for_part(models)
        interrupt(run, [signal.SIGINT])
    again = luci("install", url)
    assert (again.returncode, "0% | Starting fresh" in again.stderr) == (0, True)
    assert server.exchanges()[-1].headers["range"] == "bytes=0-"
    assert_nothing_left(models, "m.gguf")


# --- two terminals


def test_who_waits_takes_over_after_an_interrupt(server: FaultyServer, models: Path) -> None:
    """The second terminal downloads what the first one gave up."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF), faults.ok()])
    with Spawned("install", url) as first:
        wait_for_part(models)
        with Spawned("install", url) as second:
            second.wait_for(f"Waiting for pid {first.pid}")
            interrupt(first, [signal.SIGINT])
            assert first.process.returncode == -signal.SIGINT
            assert first.err.endswith(STOPPED + DELETED.format("m.gguf"))
            assert second.wait() == 0
    assert len(server.exchanges()) == 2
    assert_nothing_left(models, "m.gguf")


def test_a_settings_lock_that_somebody_holds_is_no_trap(server: FaultyServer, home: Path, tmp_path: Path) -> None:
    """To remember the folder of --dir, luci waits for a lock; a signal ends that too."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(0)])
    lock = "from luci_dl.disk import lock as module; lock = module.file_lock; module.file_lock = "
    tell = patched(lock + "lambda path: (os.write(2, b'locking'), lock(path))[1]")
    with held(home / "config.json.lock"), Spawned("install", url, "--dir", tmp_path / "other", command=tell) as run:
        run.wait_for("locking")
        took = interrupt(run, [signal.SIGINT])
        assert run.process.returncode == -signal.SIGINT
        assert STOPPED in run.err
    assert took < SOON_S


# --- job control, and descriptors that are gone


def test_a_stopped_luci_goes_on_where_it_was(server: FaultyServer, models: Path) -> None:
    """Ctrl+Z and fg."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)])
    with Spawned("install", url, command=LUCI) as run:  # only a parent is told of a stop
        assert server.stalled.wait(10)
        run.signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(run.pid, os.WUNTRACED)[1])
        server.release()
        run.signal(signal.SIGCONT)
        assert run.wait() == 0
    assert len(server.exchanges()) == 1
    assert_nothing_left(models, "m.gguf")


def test_a_terminal_that_is_closed_hangs_up(server: FaultyServer, models: Path) -> None:
    """SIGHUP, with nowhere left to write to."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)])
    master, slave = os.openpty()
    argv = [*IN_TERMINAL, os.ttyname(slave), *LUCI, "install", url]
    with subprocess.Popen(argv, start_new_session=True, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        assert server.stalled.wait(10)
        os.close(slave)
        os.close(master)
        assert process.wait(10) == -signal.SIGHUP
    assert_nothing_left(models)


def test_a_terminal_that_is_halted_delays_nothing(server: FaultyServer, models: Path) -> None:
    """Ctrl+S stops the output for good, Ctrl+C ends luci nevertheless."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(100_000)])
    with Spawned("install", url, terminal=True) as run:
        run.wait_for("m.gguf")
        run.press("\x13")
        wait_until(lambda: server.sent() > HALF // 2)
        run.press("\x03")
        assert run.process.wait(10) == -signal.SIGINT
    assert_nothing_left(models)


def test_the_question_is_ended_by_ctrl_c(home: Path) -> None:
    """Nothing was begun, so nothing is said, and nothing made."""
    with Spawned("install", "all", "models", terminal=True) as run:
        run.wait_for("Install all: 76 models")
        run.press("\x03")
        assert run.wait() == -signal.SIGINT
    assert not home.exists()


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", "| head -0", "2>&1 >/dev/null | head -0"])
def test_descriptors_that_are_closed_harm_nothing(server: FaultyServer, models: Path, closed: str) -> None:
    """No model file gets their numbers, and output that nobody takes is no failure."""
    url = server.serve("/m.gguf", DATA)
    script = f'"$@" install "$URL" {closed}'
    env = os.environ | {"PYTHONPATH": str(ROOT), "URL": url}
    shell = subprocess.run(["sh", "-c", script, "sh", *LUCI], env=env, capture_output=True, text=True, timeout=30)
    wait_until(lambda: (models / ".luci" / "m.gguf.receipt").exists())
    assert shell.returncode == 0
    assert "Traceback" not in shell.stderr
    assert_nothing_left(models, "m.gguf")
    assert (models / "m.gguf").read_bytes() == DATA


def test_nobody_to_ask_is_bad_usage_with_stdin_closed(home: Path) -> None:
    """`all` needs a yes, and says how to give it."""
    script = '"$@" install all 0<&-'
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    shell = subprocess.run(["sh", "-c", script, "sh", *LUCI], env=env, capture_output=True, text=True, timeout=30)
    assert (shell.returncode, "--yes" in shell.stderr) == (2, True)
    assert not home.exists()


def test_a_renderer_with_a_bug_does_not_stop_the_download(server: FaultyServer, models: Path) -> None:
    """It is dropped; files, exit code and the engine are what they would be."""
    bug = "from luci_dl.ui.lines import Lines; Lines.__call__ = None"
    with Spawned("install", server.serve("/m.gguf", DATA), command=patched(bug)) as run:
        assert run.wait() == 0
    assert_nothing_left(models, "m.gguf")
