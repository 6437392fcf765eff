"""`luci help`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from luci_dl.cli import complete, options, session, topics
from luci_dl.cli.topics import layout
from luci_dl.errors import UsageError
from luci_dl.text import printable


@click.command(epilog=options.examples("luci help", "luci help install", "luci help settings"))
@click.argument("words", nargs=-1, metavar="[COMMAND... | TOPIC]", shell_complete=complete.help_words)
def command(words: tuple[str, ...]) -> Any:
    """Show the commands and topics, how to use one command, or one topic of the reference."""
    from luci_dl.cli.main import luci

    if len(words) == 1 and words[0] in topics.TOPICS:
        session.output().results(topics.lines(words[0]))
        return 0
    near = get_close_matches(words[0].casefold(), topics.TOPICS, 1, 0.7) if words else []
    if near and luci.get_command(click.Context(luci), words[0]) is None:
        raise UsageError(
            f"there is no command or topic `{printable(words[0])}`; did you mean `luci help {near[0]}`?",
            "`luci help` shows the commands and topics.",
        )
    code = luci.main(args=[*words, "--help"], prog_name="luci", standalone_mode=False)
    if not words:
        session.output().results(["", "Topics of `luci help TOPIC`:", *layout.table(topics.TOPICS.items())])
    return code
