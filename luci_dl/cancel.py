"""Cancellation: a token that every wait checks, and the signals that set it.

A signal handler must do almost nothing: it sets the token's flag and writes one byte to a pipe that is never drained,
so every thread that waits on the token wakes at once, now and later. Clean-up and output happen where the cancellation
is noticed, never in the handler.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn, TypeVar

from luci_dl.errors import Interrupted, StorageError, refusals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CTRL_C = signal.SIGINT
POLL_S = 0.05
"""How often a wait for another thread checks the token, in seconds."""
LATEST_S = 0.25
"""How late a signal is noticed at most, in seconds: one that arrives right before a system call does not interrupt it,
and Python runs its handler only when the call returns."""
_CONTINUED: list[int] = []
"""One item for each time that the process continued after it was stopped."""

T = TypeVar("T")


class CancelToken:
    """Set once, for all threads. `cancel` is safe in a signal handler: it takes no lock.

    Raises: StorageError, when the system refuses its pipe.
    """

    _reader = _writer = -1

    def __init__(self) -> None:
        self.signum: int | None = None
        self.cancelled = False
        with refusals():
            self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def cancel(self, signum: int | None = None) -> None:
        """Ask everything that uses the token to stop. Only the first call, with its signal, counts."""
        if self.cancelled:
            return
        self.signum = signum
        self.cancelled = True
        with contextlib.suppress(OSError):
            os.write(self._writer, b"!")

    def check(self) -> None:
        """Raises: Interrupted, if the token is cancelled."""
        if self.cancelled:
            raise Interrupted(self.signum)

    def wait(self, seconds: float) -> bool:
        """Sleep for up to `seconds`. Returns: True, at once, when the token is cancelled."""
        end = time.monotonic() + seconds
        while not self.cancelled and (left := end - time.monotonic()) > 0:
            _wait_to_read([self._reader], min(left, LATEST_S))
        return self.cancelled

    def wait_to_read(self, fd: int) -> None:
        """Wait until `fd` can be read or has ended. Raises: Interrupted, when the token is cancelled first."""
        self.check()
        while not _wait_to_read([fd, self._reader], LATEST_S):
            self.check()
        self.check()

    def wait_for(self, event: threading.Event, tick: Callable[[], None] | None = None) -> None:
        """Wait until another thread sets the event, and call `tick` every `POLL_S` seconds meanwhile.

        Raises: Interrupted, when the token is cancelled first; whatever `tick` raises.
        """
        while not event.wait(POLL_S):
            self.check()
            if tick:
                tick()

    def __del__(self) -> None:
        for fd in (self._reader, self._writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def _wait_to_read(fds: Sequence[int], seconds: float) -> bool:
    """Whether one of them can be read, or has ended, within that time."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Run `work` in a thread that ends with the process at the latest. Raises: StorageError, when that is refused."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    with refusals():
        thread.start()
    return thread


def run_cancellable(work: Callable[[], T], token: CancelToken, tick: Callable[[], None] | None = None) -> T:
    """Run `work` in another thread; the calling thread stays free to answer the token at once, and calls `tick`.

    On cancellation `work` is abandoned, so nothing that it does after that may matter. KeyboardInterrupt in the calling
    thread cancels the token.

    Raises: Interrupted; whatever `work` or `tick` raises.
    """
    done = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)
        finally:
            done.set()

    try:
        try:
            start_thread(run, "luci-work")
        except StorageError:  # it may take long, and signals have to wait
            run()
        token.wait_for(done, tick)
    except (KeyboardInterrupt, SystemExit):
        token.cancel()
        raise
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def signals_cancel(token: CancelToken) -> Iterator[list[int]]:
    """Cancel `token` on SIGINT, SIGTERM and SIGHUP while the block runs, and list the signals as they arrive.

    A signal that was ignored stays ignored (as SIGINT in a background job of a script). Main thread only.
    """
    before = signal.signal(signal.SIGCONT, lambda signum, _frame: _CONTINUED.append(signum))
    try:
        with signals_call(token.cancel) as received:
            yield received
    finally:
        signal.signal(signal.SIGCONT, before)


@contextlib.contextmanager
def signals_call(function: Callable[[int], object]) -> Iterator[list[int]]:
    """Call `function` on SIGINT, SIGTERM and SIGHUP while the block runs, and list the signals as they arrive.

    A signal that was ignored stays ignored. Main thread only.
    """
    received: list[int] = []

    def handler(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        function(signum)

    with signals_handled_by(lambda _signum: handler):
        yield received


def times_continued() -> int:
    """How often this process has continued, in `signals_cancel`, after it was stopped: by Ctrl+Z, for example."""
    return len(_CONTINUED)


@contextlib.contextmanager
def never_stopped_by_output() -> Iterator[None]:
    """While the block runs, `stty tostop` does not stop this thread when it writes in the background."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def signals_handled_by(handler: Callable[[int], Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    """While the block runs, the handler that `handler` names for each of the `heard_signals`. Main thread only."""
    before = {signum: signal.signal(signum, handler(signum)) for signum in heard_signals()}
    try:
        yield
    finally:
        for signum, old in reversed(before.items()):  # SIGINT last: its handler may raise KeyboardInterrupt here
            signal.signal(signum, old)


def heard_signals() -> list[signal.Signals]:
    """The `SIGNALS` that this process and its children do not ignore."""
    return [signum for signum in SIGNALS if signal.getsignal(signum) not in (signal.SIG_IGN, None)]


def signal_name(signum: int) -> str:
    """SIGKILL, or "signal 34" where it has no name."""
    return signal.Signals(signum).name if signum in set(signal.Signals) else f"signal {signum}"


def die_at_once() -> None:
    """Let Ctrl+C end the process without a traceback until `signals_cancel` takes over."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def die_of(signum: int) -> NoReturn:
    """End the process by that signal, so that shells and loops see what they expect."""
    signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)  # still alive: PID 1 of a container has no default actions
