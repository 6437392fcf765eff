"""The wish to stop: a token that every wait asks, and the signal behind it.

A signal handler may do next to nothing: it sets the token's flag and writes one byte into a pipe that nobody
empties, so every thread that waits on the token wakes at once, now and later. Clean-up and words happen where
the wish is noticed, never in the handler.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn, TypeVar

from luci_dl.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CTRL_C = signal.SIGINT
POLL_S = 0.05
"""How often a wait for another thread asks the token, in seconds."""

T = TypeVar("T")


class CancelToken:
    """Set once, seen by all. `cancel` is safe in a signal handler: no lock, no allocation worth the name."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.cancelled = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def cancel(self, signum: int | None = None) -> None:
        """Wish to stop. The first signal counts; later ones change nothing."""
        if self.cancelled:
            return
        self.signum = signum
        self.cancelled = True
        with contextlib.suppress(OSError):
            os.write(self._writer, b"!")

    def check(self) -> None:
        """Raises: Interrupted, when the wish is there."""
        if self.cancelled:
            raise Interrupted(self.signum)

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`; True, at once, when the wish is or comes there."""
        if not self.cancelled:
            poll = select.poll()
            poll.register(self._reader, select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        return self.cancelled

    def wait_to_read(self, fd: int) -> None:
        """Wait until there is something to read, or its end. Raises: Interrupted, when the wish comes before that."""
        self.check()
        poll = select.poll()
        for one in (fd, self._reader):
            poll.register(one, select.POLLIN)
        poll.poll()
        self.check()

    def wait_for(self, bell: threading.Event, tick: Callable[[], None] | None = None) -> None:
        """Wait until another thread rings, calling `tick` again and again meanwhile.

        Raises: Interrupted, when the wish comes before the bell; whatever `tick` raises.
        """
        while not bell.wait(POLL_S):
            self.check()
            if tick:
                tick()

    def __del__(self) -> None:
        for fd in (self._reader, self._writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def run_cancellable(work: Callable[[], T], token: CancelToken, tick: Callable[[], None] | None = None) -> T:
    """Run `work` beside the calling thread, which stays free to answer the token at once and to `tick`.

    When the wish to stop comes first, `work` is left to end by itself: it must do nothing that matters after that.
    Raises: Interrupted; whatever `work` raises.
    """
    bell = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed over, raised again below
            errors.append(error)
        finally:
            bell.set()

    threading.Thread(target=run, name="luci-work", daemon=True).start()
    token.wait_for(bell, tick)
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def signals_cancel(token: CancelToken) -> Iterator[list[int]]:
    """Let SIGINT, SIGTERM and SIGHUP set `token` while the block runs, and list them as they come. Main thread only.

    A signal that was ignored stays ignored (a background job of a script inherits SIGINT so).
    """
    heard: list[int] = []

    def handler(signum: int, _frame: FrameType | None) -> None:
        heard.append(signum)
        token.cancel(signum)

    with _handled_by(lambda _signum: handler):
        yield heard


@contextlib.contextmanager
def signals_call(function: Callable[[int], object]) -> Iterator[list[int]]:
    """Call `function` on SIGINT, SIGTERM and SIGHUP while the block runs, and list the signals as they arrive.

    A signal that was ignored stays ignored. Main thread only.
    """
    received: list[int] = []

    def handler(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        function(signum)

    with _handled_by(lambda _signum: handler):
        yield received


@contextlib.contextmanager
def at_a_prompt(leave: Callable[[], None]) -> Iterator[None]:
    """While the block runs, Ctrl+C raises KeyboardInterrupt; SIGTERM and SIGHUP call `leave`, then end the process.

    For when nothing is under way that would need cleaning up. Main thread only.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        leave()
        die_of(signum)

    with _handled_by(lambda signum: signal.default_int_handler if signum == CTRL_C else end):
        yield


@contextlib.contextmanager
def typing(leave: Callable[[], None]) -> Iterator[None]:
    """While the block runs, Ctrl+Z calls `leave` and stops the process; gone on with, it raises KeyboardInterrupt.

    For when the terminal is an editor's own, which must draw its line anew. Main thread only.
    """

    def stop(signum: int, _frame: FrameType | None) -> None:
        leave()
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL  # else whoever started luci has no use for it
    if ours:
        signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int], Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    before = {signum: signal.signal(signum, handler(signum)) for signum in heard_signals()}
    try:
        yield
    finally:
        for signum, old in reversed(before.items()):  # SIGINT last: its handler may raise KeyboardInterrupt here
            signal.signal(signum, old)


def heard_signals() -> list[signal.Signals]:
    """Those of `SIGNALS` that this process, and so its children, do not ignore."""
    return [signum for signum in SIGNALS if signal.getsignal(signum) not in (signal.SIG_IGN, None)]


def signal_name(signum: int) -> str:
    """SIGKILL, or "signal 34" where it has no name."""
    return signal.Signals(signum).name if signum in set(signal.Signals) else f"signal {signum}"


def die_at_once() -> None:
    """Let Ctrl+C end the process as it ends any other program, until `signals_cancel` takes over."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def die_of(signum: int) -> NoReturn:
    """End the process as that signal ends one, so that shells and loops see what they expect."""
    signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)  # still alive: PID 1 of a container has no default actions
