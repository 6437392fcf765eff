"""`luci completion`, and the completions that its scripts ask for."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, cast

import click
from click.shell_completion import ShellComplete, get_completion_class, shell_complete

from luci_dl.cli import options, session
from luci_dl.cli.main import COMPLETION, luci

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@click.command(
    epilog=options.examples(
        'eval "$(luci completion bash)"',
        "luci completion zsh > ~/.zfunc/_luci",
        "luci completion fish > ~/.config/fish/completions/luci.fish",
        more="Put the first line into ~/.bashrc (bash 4.4 or later) to have completion in every terminal; "
        "for zsh, ~/.zfunc must be in fpath before compinit runs.",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script that lets the TAB key complete luci's words.

    It completes commands, options, models, groups and paths.
    """
    kind = cast("type[ShellComplete]", get_completion_class(shell))
    script = kind.source_template % kind(luci, {}, "luci", COMPLETION).source_vars()
    session.output().results([script])
    return 0


def answer() -> int:
    """Print the completions of the command line in the environment. Errors print nothing: the user is typing."""
    with contextlib.suppress(Exception):
        shell_complete(luci, {}, "luci", COMPLETION, os.environ[COMPLETION])
    return 0


def completions(words: list[str], incomplete: str) -> list[CompletionItem[str]]:
    """The completions of the last, incomplete word after the others."""
    with contextlib.suppress(Exception):
        return ShellComplete(luci, {}, "luci", COMPLETION).get_completions(words, incomplete)
    return []
