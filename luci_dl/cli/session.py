"""What every command needs: its output, and a run that signals cancel and events describe.

Events, and what shows them, take long to load: `luci --help` and what prints a table does without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from luci_dl.cancel import CancelToken, die_of, signals_cancel
from luci_dl.errors import Interrupted, LuciError, UsageError
from luci_dl.ui.choose import choose, standard_output
from luci_dl.ui.stream import Output

if TYPE_CHECKING:
    from luci_dl.events import Emit, Event
    from luci_dl.ui.render_thread import RenderThread


def report(error: LuciError, *, json: bool = False) -> int:
    """Show the error that ends a command. Returns: its exit code."""
    from luci_dl.events import Failed

    renderer = choose(json=json, quiet=not json, environ=os.environ)
    renderer(Failed("", error.message, error.hint, error.exit_code))
    renderer.close()
    return error.exit_code


def warn(event: Event) -> None:
    """An `Emit` for a command whose results are no events: it shows messages on stderr."""
    from luci_dl.ui.describe import describe

    if event.channel == "message":
        output().say(describe(event))


def output() -> Output:
    """Where a command that has no events writes."""
    return standard_output(os.environ)


def run(
    work: Callable[[CancelToken, Emit], int], *, json: bool = False, quiet: bool = False, what: str = "Download"
) -> int:
    """Run `work` with a token that signals cancel, and show its events.

    Args:
        what: `work` does, for the message when it is interrupted.

    Returns: the exit code. Does not return after a signal: clean-up is over by then, and the process dies of it.
    """
    from luci_dl.ui.render_thread import RenderThread

    renderer = choose(json=json, quiet=quiet, environ=os.environ)  # loaded while the system still opens files
    token = CancelToken()
    render_thread = RenderThread(renderer)
    with signals_cancel(token) as received:
        code = _run(work, token, render_thread, what)
        render_thread.close(token)
    if received:  # checked when no handler can add to it
        die_of(received[0])
    return code


def _run(work: Callable[[CancelToken, Emit], int], token: CancelToken, render_thread: RenderThread, what: str) -> int:
    from luci_dl.events import Failed, Stopped

    try:
        return work(token, render_thread)
    except Interrupted as error:
        render_thread(Stopped(error.signum, what))
        return error.exit_code
    except LuciError as error:
        render_thread(Failed("", error.message, error.hint, error.exit_code))
        return error.exit_code
    except BaseException:
        token.cancel()
        render_thread.close(token)  # a bug: its traceback follows the output
        raise


def confirmed(question: str, purpose: str, token: CancelToken, details: Sequence[str] = ()) -> bool:
    """Ask the user at the terminal, below the details; True for yes.

    Args:
        purpose: of the confirmation, for the error where there is no terminal.

    Raises: UsageError, when there is no terminal; Interrupted.
    """
    if not (os.isatty(0) and os.isatty(2)):  # sys.stdin is None if it was closed
        raise UsageError(f"cannot ask for confirmation {purpose}: there is no terminal", "Pass --yes to confirm.")
    output().say(details)
    output().err.write(f"{question} [y/N]: ")
    token.wait_to_read(0)  # in this thread: an abandoned one would read what is typed next
    return os.read(0, 1000).strip().lower() in (b"y", b"yes")
