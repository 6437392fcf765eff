"""`python -m luci_dl` and the `luci` command."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from types import TracebackType
from typing import NoReturn


def main() -> None:
    """Run luci and end the process."""
    if os.name == "nt":
        sys.exit("luci runs on Linux and macOS. On Windows, install it inside WSL: https://aka.ms/wsl")
    _open_standard_streams()
    gc.set_threshold(100_000)  # a start makes half as many objects, and looking for garbage took a twentieth of it
    try:
        from luci_dl.cancel import die_at_once

        die_at_once()  # there is nothing to clean up yet
        sys.excepthook = _show_bug
        from luci_dl.cli.child import words_handed_over
        from luci_dl.cli.main import run
    except (OSError, MemoryError, ImportError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or "out of memory"
        print(f"luci cannot start: {reason}", file=sys.stderr)
        sys.exit(6)

    words = words_handed_over()
    _end(run(sys.argv[1:] if words is None else words, _started_with(sys.argv[1:])))


def _end(code: int) -> NoReturn:
    """End the process at once. To free every object first, as Python does, takes a tenth of a short run."""
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)


def _started_with(arguments: list[str]) -> list[str]:
    """The command before luci's own arguments: `python -m luci_dl`, or that of a script or a zipapp."""
    command = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
    known = [*command, *arguments] == sys.orig_argv  # else something has rewritten sys.argv
    return [sys.executable, *command[1:]] if known and sys.executable else []


def _show_bug(kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback, in which no address shows a secret."""
    import traceback

    from luci_dl.text import public_text

    sys.stderr.write(public_text("".join(traceback.format_exception(kind, bug, trace))))


def _open_standard_streams() -> None:
    """Open the standard streams that are closed, or a model file would get the number and the messages of one."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            _open_nowhere()


def _open_nowhere() -> None:
    """Open /dev/null, or the root folder in a container without one. It gets the lowest descriptor that is free."""
    try:
        os.open(os.devnull, os.O_RDWR)
    except OSError:
        os.open("/", os.O_RDONLY)


if __name__ == "__main__":
    main()
