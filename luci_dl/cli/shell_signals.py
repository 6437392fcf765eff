"""What signals do at luci's prompt, where nothing runs that has to be cleaned up. Main thread only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from luci_dl.cancel import CTRL_C, LATEST_S, die_of, heard_signals, signals_handled_by


@contextlib.contextmanager
def at_a_prompt(leave: Callable[[], None]) -> Iterator[None]:
    """While the block runs, Ctrl+C raises KeyboardInterrupt; SIGTERM and SIGHUP call `leave`, then end the process."""

    def end(signum: int, _frame: FrameType | None) -> None:
        leave()
        die_of(signum)

    with signals_handled_by(lambda signum: signal.default_int_handler if signum == CTRL_C else end):
        yield


@contextlib.contextmanager
def typing(leave: Callable[[], None]) -> Iterator[None]:
    """While a line editor runs in the block, Ctrl+C ends it with KeyboardInterrupt, whatever it does just then.

    Ctrl+Z calls `leave` and stops the process; it raises KeyboardInterrupt when the process continues, since the line
    has to be drawn again. A timer reminds the editor of a Ctrl+C that came right before it waited for a key, or while
    it completed a word: it drops what a completer raises.
    """
    pressed, editing = False, True

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        remind(signum, frame)

    def remind(_signum: int, _frame: FrameType | None) -> None:
        if pressed and editing:
            raise KeyboardInterrupt

    def stop(signum: int, _frame: FrameType | None) -> None:
        leave()
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        raise KeyboardInterrupt

    handlers: dict[int, Callable[[int, FrameType | None], None]] = {signal.SIGALRM: remind}
    if CTRL_C in heard_signals():
        handlers[CTRL_C] = interrupt
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:  # else the parent process ignores it
        handlers[signal.SIGTSTP] = stop
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    signal.setitimer(signal.ITIMER_REAL, LATEST_S, LATEST_S)
    try:
        yield
    except SystemError:  # `input` ran the timer's handler while it raised KeyboardInterrupt
        if not pressed:
            raise
        raise KeyboardInterrupt from None
    finally:
        caught, editing = pressed, False
        signal.setitimer(signal.ITIMER_REAL, 0)
        for signum, old in before.items():
            signal.signal(signum, old)
        if pressed and not caught:
            raise KeyboardInterrupt
