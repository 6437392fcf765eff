"""A child of the fork server starts with the same state as a new process, and ends as one does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.procs import Code, Spawned

DESCRIBE = """
import json, os, resource, signal, sys, threading
def terminal():
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return None
def streams():
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        yield stream.fileno(), stream.encoding, stream.errors, stream.line_buffering, stream.isatty()
print(json.dumps({
    "arguments": sys.argv[1:],
    "environment": {name: value for name, value in os.environ.items() if name not in ("PWD", "OLDPWD", "_")},
    "directory": os.getcwd(),
    "umask": os.umask(0),
    "descriptors": [fd for fd in range(100) if os.path.exists(f"/dev/fd/{fd}")],
    "handlers": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "streams": list(streams()),
    "leads": os.getsid(0) == os.getpid(),
    "foreground": terminal(),
    "threads": threading.active_count(),
    "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)],
    "safe path": sys.flags.safe_path,
}), flush=True)
raise SystemExit(3)
"""
FAILS_TO_FLUSH = """
import os, sys
os.close(1)
print("lost")
raise SystemExit
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_a_child_starts_like_a_new_process(terminal: bool, tmp_path: Path) -> None:
    """Arguments, environment, working directory, umask, descriptors, signals, streams and terminal."""
    before = os.umask(0o027)
    try:
        found = []
        for command in (Code(DESCRIBE), Code(DESCRIBE).command):
            with Spawned(
                "one", "two words", command=command, terminal=terminal, cwd=tmp_path, env={"MORE": "é"}
            ) as run:
                assert run.wait() == 3, run.err
                found.append(json.loads(run.out))
    finally:
        os.umask(before)
    assert found[0] == found[1]
    assert found[0]["descriptors"] == [0, 1, 2]
    assert (found[0]["directory"], found[0]["umask"], found[0]["leads"]) == (str(tmp_path), 0o027, terminal)


def test_the_interpreter_shuts_down() -> None:
    """Output that cannot be flushed is an error, as in a new process."""
    with Spawned(command=Code(FAILS_TO_FLUSH)) as forked, Spawned(command=Code(FAILS_TO_FLUSH).command) as new:
        assert forked.wait() == new.wait() == 120
        assert forked.err == new.err != ""


def test_a_signal_is_not_an_exit_code() -> None:
    with Spawned(command=Code("import time; print('ready', flush=True); time.sleep(60)")) as run:
        run.wait_for("ready")
        assert run.process.poll() is None
        run.signal(signal.SIGTERM)
        assert run.wait() == -signal.SIGTERM


def test_variables_that_python_reads_at_start_up_get_a_new_process() -> None:
    with Spawned(command=Code("import sys; print(sys.flags.utf8_mode); sys.exit()"), env={"PYTHONUTF8": "1"}) as run:
        assert (run.wait(), run.out) == (0, "1\n")
