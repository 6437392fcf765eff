"""Ctrl+C in a terminal: what the user reads is exact, and nothing is left.

Also by hand, in your own terminal: `python3 tests/test_interrupt_cleanup.py`, then press Ctrl+C.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent

AFTER_SET_UP = 'root=$1; shift; . "$root/scripts/venv.sh"; run_ready_to run "$python" "$@"'

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as long as there is nothing to clean up
    sys.path[0] = str(ROOT)
    if importlib.util.find_spec("filelock") is None or importlib.util.find_spec("truststore") is None:
        os.execvp("sh", ["sh", "-c", AFTER_SET_UP, "sh", str(ROOT), *sys.argv])

from luci_dl.cli.demo_gguf import make_gguf  # noqa: E402 - by hand, nothing is on the path before
from luci_dl.cli.demo_server import DemoServer  # noqa: E402
from tests.interrupting import DATA, DELETED, HALF, STOPPED, assert_nothing_left, patched, wait_for_part  # noqa: E402
from tests.procs import LUCI, Spawned, files_left  # noqa: E402

if TYPE_CHECKING:
    from tests.servers import FaultyServer

MISTRAL = "mistral-7b-instruct-v0.2.Q4_K_M.gguf"


def words(terminal: str) -> str:
    """What a terminal got, without the sequences that move its cursor, clear it, and colour it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", terminal)


def test_ctrl_c_in_a_terminal_says_what_was_deleted(server: FaultyServer, home: Path) -> None:
    """The three lines, on lines of their own, and nothing after them."""
    from tests.servers import faults

    url = server.serve(f"/{MISTRAL}", DATA, faults=[faults.trickle(100_000)])
    with Spawned("install", url, terminal=True) as luci:
        wait_for_part(home / "models", MISTRAL)
        luci.press("\x03")
        assert luci.wait() == -signal.SIGINT
        assert words(luci.out).endswith(STOPPED + DELETED.format(MISTRAL))
        assert luci.out.endswith("\x1b[?25h"), "the cursor is not shown"
    assert_nothing_left(home / "models")


def test_a_part_that_cannot_be_deleted_is_named(server: FaultyServer, home: Path) -> None:
    """With the system's reason and the real path."""
    from tests.servers import faults

    refuse = (
        "unlink = os.unlink\n"
        "def refused(path, **more):\n"
        "    if str(path).endswith('.part'): raise PermissionError(13, 'Permission denied', str(path))\n"
        "    unlink(path, **more)\n"
        "os.unlink = refused"
    )
    url = server.serve(f"/{MISTRAL}", DATA, faults=[faults.stall(HALF)])
    with Spawned("install", url, terminal=True, command=patched(refuse)) as luci:
        wait_for_part(home / "models", MISTRAL)
        luci.press("\x03")
        assert luci.wait() == -signal.SIGINT
        part = home / "models" / ".luci" / f"{MISTRAL}.part"
        said = f"⚠️  Could not delete partial file: Permission denied\n📦 Partial file at: {part}\n"
        assert words(luci.out).endswith(STOPPED + said)
    assert part.exists()


def test_the_next_install_starts_fresh(server: FaultyServer, home: Path) -> None:
    """As the words promise."""
    from tests.servers import faults

    url = server.serve(f"/{MISTRAL}", DATA, faults=[faults.stall(HALF), faults.ok()])
    with Spawned("install", url, terminal=True) as luci:
        wait_for_part(home / "models", MISTRAL)
        luci.press("\x03")
        assert luci.wait() == -signal.SIGINT
    with Spawned("install", url, terminal=True) as luci:
        assert luci.wait() == 0
        assert "0% | Starting fresh" in luci.out
    assert_nothing_left(home / "models", MISTRAL)


def test_this_very_file_runs_by_hand(tmp_path: Path) -> None:
    """From its own folder, in a terminal, it tells whether the clean-up succeeded."""
    by_hand = [sys.executable, Path(__file__).name]
    with Spawned(command=by_hand, cwd=Path(__file__).parent, terminal=True, env={"PYTHONPATH": ""}) as script:
        script.wait_for("MB/s")
        script.press("\x03")
        assert script.wait() == 0
        assert STOPPED + DELETED.format(MISTRAL) in words(script.out)
        assert "✅ The clean-up succeeded" in script.out
    with Spawned(command=[*by_hand, "0.5"], cwd=Path(__file__).parent, terminal=True) as script:
        assert script.wait() == 1
        assert "❌ It was not interrupted" in script.out


def by_hand(megabytes: float = 200.0) -> int:
    """Install from a slow loopback server in this terminal, and judge what Ctrl+C leaves. Returns: an exit code."""
    signal.signal(signal.SIGINT, lambda *_: None)  # luci gets it too, and only luci shall die of it
    files = {MISTRAL: make_gguf(int(megabytes * 1e6))}
    with tempfile.TemporaryDirectory() as folder, DemoServer(files, 5e6) as server:
        print(f"luci installs {megabytes:g} MB from a slow server. Press Ctrl+C while it downloads.\n", flush=True)
        env = os.environ | {"LUCI_HOME": folder, "PYTHONPATH": str(ROOT)}
        luci = subprocess.Popen([*LUCI, "install", "-c", "1", server.url(MISTRAL)], env=env)
        code = luci.wait()
        left = files_left(Path(folder))
    print("\nWhat is in the folder now:", *(f"  {name}" for name in left), sep="\n")
    if code != -signal.SIGINT:
        print(f"❌ It was not interrupted by Ctrl+C (exit code {code}): start again, and be quicker.")
        return 1
    wrong = [name for name in left if not name.endswith((".lock", "/"))]
    print(f"❌ The clean-up failed: {', '.join(wrong)}" if wrong else "✅ The clean-up succeeded: no partial file.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(by_hand(*map(float, sys.argv[1:])))
