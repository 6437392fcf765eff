"""Runs luci again, in a child process: for the prompt and for the demo."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import click

from luci_dl.cancel import signals_call
from luci_dl.errors import StorageError
from luci_dl.text import public_text

WORDS = "_LUCI_WORDS"
"""The environment variable with the arguments of a child process, as JSON: every user sees those of its command."""
_HEADER = "--header"


def luci_command() -> list[str]:
    """The command that starts another luci: the same way this process was started, if known."""
    return click.get_current_context().find_root().obj or [sys.executable, "-P", "-m", "luci_dl"]


def words_handed_over() -> list[str] | None:
    """The arguments that `run_in_foreground` gave to this process; None if it was started by something else."""
    words = os.environ.pop(WORDS, None)
    return None if words is None else json.loads(words)


def public_words(words: Sequence[str]) -> list[str]:
    """The words without the secrets in addresses and request headers."""
    return [_public_word(before, word) for before, word in pairwise(["", *words])]


def _public_word(before: str, word: str) -> str:
    if before == _HEADER:
        return "..."
    return f"{_HEADER}=..." if word.startswith(f"{_HEADER}=") else public_text(word)


def run_in_foreground(words: Sequence[str]) -> tuple[int, list[int]]:
    """Run `luci WORDS` on this process's terminal, and pass on the signals that come meanwhile.

    Ctrl+C sends SIGINT to both processes anyway, but a child that is just being started may miss it.

    Returns:
        The exit code, or minus the signal that it died of; the signals that this process received.

    Raises: StorageError, when the system refuses to start a process.
    """
    import subprocess  # every other command starts without it

    children: list[subprocess.Popen[bytes]] = []

    def pass_on(signum: int) -> None:
        for child in children:
            child.send_signal(signum)

    with signals_call(pass_on) as received:
        try:
            # os.environ, because readline sets COLUMNS and LINES behind its back, and they become wrong on a resize
            environment = {**os.environ, WORDS: json.dumps(words)}
            children.append(subprocess.Popen([*luci_command(), *public_words(words)], env=environment))
        except OSError as error:
            raise StorageError(f"cannot start luci: {error.strerror}", "Close other programs and try again.") from error
        for signum in list(received):  # those that came before the child was listed
            pass_on(signum)
        code = children[0].wait()
    return code, received
