from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.events import Event, Hashing, Progress, Warned
from luci_dl.ui.lines import Lines
from luci_dl.ui.render_thread import RenderThread
from luci_dl.ui.stream import Output, Stream
from tests.ui.taps import full_pipe


class Recorder:
    """Keeps what it is shown; with a gate, waits at the first event until that opens."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.seen: list[Event] = []
        self.closed = False
        self.busy = threading.Event()
        self._gate = gate

    def __call__(self, event: Event) -> None:
        self.busy.set()
        if self._gate:
            self._gate.wait()
        self.seen.append(event)

    def close(self) -> None:
        self.closed = True


class Broken(Recorder):
    def __call__(self, event: Event) -> None:
        super().__call__(event)
        raise RuntimeError("a bug in a renderer")


def test_events_arrive_in_order_and_the_renderer_is_closed() -> None:
    """What was told before close is shown before close returns."""
    renderer = Recorder()
    pump = RenderThread(renderer)
    told = [Warned(str(i)) for i in range(100)]
    for event in told:
        pump(event)
    assert pump.close(None)
    assert (renderer.seen, renderer.closed) == (told, True)


def test_a_slow_renderer_gets_the_latest_of_each_file_and_every_message() -> None:
    """While the renderer is behind, only what says how far a file is may be left out."""
    gate = threading.Event()
    renderer = Recorder(gate)
    pump = RenderThread(renderer)
    pump(Warned("first"))
    assert renderer.busy.wait(10)
    for i in range(1, 1001):
        pump(Hashing("a", i, 1000))
        pump(Progress("a", i, 1000, 1.0))
        pump(Progress("b", i, 1000, 1.0))
        if i % 500 == 0:
            pump(Warned(str(i)))
    gate.set()
    assert pump.close(None)
    assert renderer.seen == [
        Warned("first"),
        Warned("500"),
        Progress("a", 1000, 1000, 1.0),
        Progress("b", 1000, 1000, 1.0),
        Warned("1000"),
    ]


def test_a_renderer_that_raises_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    """The run goes on without it, and without a traceback."""
    renderer = Broken()
    pump = RenderThread(renderer)
    pump(Warned("one"))
    pump(Warned("two"))
    assert pump.close(None)
    pump(Warned("late"))
    assert (renderer.seen, renderer.closed) == ([Warned("one")], True)
    assert capfd.readouterr() == ("", "")


def test_a_full_pipe_that_nobody_reads_blocks_nobody() -> None:
    """Telling goes on, and close gives up after its timeout, or soon after the wish to stop."""
    reader, writer = full_pipe()
    stream = Stream(writer)
    pump = RenderThread(Lines(Output(stream, stream)))
    for i in range(10_000):
        pump(Warned(str(i)))
    assert not pump.close(0.05)
    token = CancelToken()
    token.cancel(2)
    assert not pump.close(None, token)
    os.close(reader)
    assert pump.close(None)
    os.close(writer)


def test_a_token_cancelled_while_close_waits_cuts_the_wait() -> None:
    """A close without time limit ends when the user loses patience."""
    gate = threading.Event()
    pump = RenderThread(Recorder(gate))
    pump(Warned("stuck"))
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    assert not pump.close(None, token)
    gate.set()
    assert pump.close(None, CancelToken())
    timer.join()


def test_a_process_with_a_full_stderr_can_still_end() -> None:
    """A thread that is stuck in a write holds nothing that the end of the interpreter asks for."""
    program = (
        "from luci_dl.events import Warned\n"
        "from luci_dl.ui.choose import choose\n"
        "from luci_dl.ui.render_thread import RenderThread\n"
        "pump = RenderThread(choose(json=False, quiet=False, environ={}))\n"
        "pump(Warned('stuck'))\n"
        "raise SystemExit(7 if not pump.close(0.1) else 1)\n"
    )
    reader, writer = full_pipe()
    run = subprocess.run([sys.executable, "-c", program], stderr=writer, timeout=30, check=False)
    os.close(reader)
    os.close(writer)
    assert run.returncode == 7
