"""What every command works with, and how it ends: settings, events to the screen, a token that signals set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from luci_dl.cancel import CancelToken, die_of, signals_cancel
from luci_dl.cli import complete
from luci_dl.config.settings import Settings, load_settings
from luci_dl.errors import Interrupted, LuciError, UsageError
from luci_dl.events import Emit, Failed, Stopped
from luci_dl.text import printable
from luci_dl.ui.choose import choose, standard_output
from luci_dl.ui.render_thread import RenderThread
from luci_dl.ui.stream import Output

LAST_WORDS_S = 0.2
"""How long the last words may take when a signal ends the run, in seconds: nobody may be reading."""

Command = TypeVar("Command", bound=Callable[..., object])


def report(error: LuciError, *, json: bool = False) -> int:
    """Show the error that ends a command. Returns: its exit code."""
    renderer = choose(json=json, quiet=not json, environ=os.environ)
    renderer(Failed("", error.message, error.hint, error.exit_code))
    renderer.close()
    return error.exit_code


def output() -> Output:
    """Where a command that only tells something writes."""
    return standard_output(os.environ)


def run(
    work: Callable[[CancelToken, Emit], int], *, json: bool = False, quiet: bool = False, what: str = "Download"
) -> int:
    """Run `work` with a token that signals set and events that are shown; `what` it does, for when it is interrupted.

    Returns: the exit code; does not return when a signal came: clean-up is over by then, so the process dies of it.
    """
    token = CancelToken()
    render_thread = RenderThread(choose(json=json, quiet=quiet, environ=os.environ))
    with signals_cancel(token) as heard:
        code = _run(work, token, render_thread, what)
        render_thread.close(LAST_WORDS_S if token.cancelled else None, token)
    if heard:  # checked when no handler can add to it any more
        die_of(heard[0])
    return code


def agreed(question: str, token: CancelToken) -> bool:
    """Whether whoever is at the terminal says yes. Raises: Interrupted"""
    output().err.write(f"{question} [y/N]: ")
    token.wait_to_read(0)  # no thread is left behind that would read what is typed next
    return os.read(0, 1000).strip().lower() in (b"y", b"yes")


def _run(work: Callable[[CancelToken, Emit], int], token: CancelToken, render_thread: RenderThread, what: str) -> int:
    try:
        return work(token, render_thread)
    except Interrupted as error:
        render_thread(Stopped(error.signum, what))
        return error.exit_code
    except LuciError as error:
        render_thread(Failed("", error.message, error.hint, error.exit_code))
        return error.exit_code
    except BaseException:
        render_thread.close(LAST_WORDS_S)  # a bug: its traceback goes below what was said
        raise


def settings_for(folder: str | None) -> Settings:
    """The settings, with `--dir` if it was given. Raises: UsageError; StorageError."""
    if folder is not None and not folder.strip():
        raise UsageError("--dir is empty", "Give a folder, or leave it out.")
    return load_settings(os.environ, None if folder is None else Path(folder))


def dir_option(purpose: str, *, made: bool = False) -> Callable[[Command], Command]:
    """The option `--dir`, as `folder`; where that is not `made` by the command, it is said when it is missing."""
    look = None if made else _say_if_missing
    return click.option("--dir", "folder", metavar="PATH", shell_complete=complete.folders, callback=look, help=purpose)


def _say_if_missing(context: click.Context, _option: click.Parameter, folder: str | None) -> str | None:
    if folder and not context.resilient_parsing and not os.path.isdir(os.path.expanduser(folder)):
        output().say([f"⚠️  There is no folder {printable(folder)}"])
    return folder


def all_folders(settings: Settings, folder: str | None) -> list[Path]:
    """Where to look for models: the one that `--dir` names, else every folder that was ever used."""
    return settings.every_folder if folder is None else [settings.models_dir]
