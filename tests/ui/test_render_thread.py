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
    """Records the events; with a gate, waits at the first event until it opens."""

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
    """Everything sent before close is shown before close returns."""
    renderer = Recorder()
    render_thread = RenderThread(renderer)
    sent = [Warned(str(i)) for i in range(100)]
    for event in sent:
        render_thread(event)
    assert render_thread.close(CancelToken())
    assert (renderer.seen, renderer.closed) == (sent, True)


def test_a_slow_renderer_gets_the_latest_of_each_file_and_every_message() -> None:
    """While the renderer is behind, only progress may be left out."""
    gate = threading.Event()
    renderer = Recorder(gate)
    render_thread = RenderThread(renderer)
    render_thread(Warned("first"))
    assert renderer.busy.wait(10)
    for i in range(1, 1001):
        render_thread(Hashing("a", i, 1000))
        render_thread(Progress("a", i, 1000, 1.0))
        render_thread(Progress("b", i, 1000, 1.0))
        if i % 500 == 0:
            render_thread(Warned(str(i)))
    gate.set()
    assert render_thread.close(CancelToken())
    assert renderer.seen == [
        Warned("first"),
        Warned("500"),
        Progress("a", 1000, 1000, 1.0),
        Progress("b", 1000, 1000, 1.0),
        Warned("1000"),
    ]


def test_a_renderer_that_raises_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    """The run continues without it, and without a traceback."""
    renderer = Broken()
    render_thread = RenderThread(renderer)
    render_thread(Warned("one"))
    render_thread(Warned("two"))
    assert render_thread.close(CancelToken())
    render_thread(Warned("late"))
    assert (renderer.seen, renderer.closed) == ([Warned("one")], True)
    assert capfd.readouterr() == ("", "")


def test_a_full_pipe_that_nobody_reads_blocks_nobody() -> None:
    """Sending never blocks, and close gives up soon after an interrupt."""
    reader, writer = full_pipe()
    stream = Stream(writer)
    render_thread = RenderThread(Lines(Output(stream, stream)))
    for i in range(10_000):
        render_thread(Warned(str(i)))
    token = CancelToken()
    token.cancel(2)
    assert not render_thread.close(token)
    os.close(reader)
    assert render_thread.close(CancelToken())
    os.close(writer)


def test_a_token_cancelled_while_close_waits_cuts_the_wait() -> None:
    """A close ends soon when the user interrupts."""
    gate = threading.Event()
    render_thread = RenderThread(Recorder(gate))
    render_thread(Warned("stuck"))
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    assert not render_thread.close(token)
    gate.set()
    assert render_thread.close(CancelToken())
    timer.join()


def test_a_process_with_a_full_stderr_can_still_end() -> None:
    """A thread that is stuck in a write holds no lock that the interpreter needs to exit."""
    program = (
        "from luci_dl.cancel import CancelToken\n"
        "from luci_dl.events import Warned\n"
        "from luci_dl.ui.choose import choose\n"
        "from luci_dl.ui.render_thread import RenderThread\n"
        "render_thread = RenderThread(choose(json=False, quiet=False, environ={}))\n"
        "render_thread(Warned('stuck'))\n"
        "token = CancelToken()\n"
        "token.cancel()\n"
        "raise SystemExit(7 if not render_thread.close(token) else 1)\n"
    )
    reader, writer = full_pipe()
    run = subprocess.run([sys.executable, "-c", program], stderr=writer, timeout=30, check=False)
    os.close(reader)
    os.close(writer)
    assert run.returncode == 7
