"""The commands, loaded when they are called for: `luci --help` and a typo cost no more than they must."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import click

from luci_dl.cli.session import report
from luci_dl.errors import LuciError, StorageError, UsageError
from luci_dl.ui.stream import is_full

COMMANDS = {
    "install": "Install models: names, groups, addresses.",
    "clean": "Remove what interrupted or crashed downloads left behind.",
    "list": "Installed models, or the catalog.",
    "search": "Search the catalog.",
    "info": "Everything known of one model.",
    "path": "Print the path of an installed model.",
    "verify": "Read installed files again: are they still right?",
    "remove": "Uninstall models.",
    "status": "What is being installed now, in every terminal.",
    "config": "Settings: get, set, unset, list.",
    "catalog": "Your own catalog: list, check, add, update.",
    "doctor": "Check folders, locks, room, proxies, servers; say what to do.",
    "shell": "A prompt that takes the same words.",
    "completion": "Print the script that makes TAB complete luci's words.",
    "help": "Show what luci can do, or how to use one command.",
    "version": "The version of luci and of what it stands on.",
    "demo": "See it work: a download, an interrupt, a clean-up, offline.",
}
"""Each command, in the file of its name beside this one (`list` in `listing`)."""

COMPLETION = "_LUCI_COMPLETE"
"""By this variable a shell asks how the words may go on, in place of running them."""

_HELP = {"help", "-h", "--help", "--version"}
_UNINSTALL = ("uninstall", "rm", "delete")

EPILOG = """\b
Examples:
  luci install llama3.2
  luci install core models
  luci clean
"""


class Commands(click.Group):
    """Commands by name, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"luci_dl.cli.{'listing' if name == 'list' else name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in _UNINSTALL:
            raise UsageError(f"there is no command `{args[0]}`; did you mean `luci remove`?")
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1, 0.7)
            guess = f"; did you mean `luci {near[0]}`?" if near else ""
            raise UsageError(f"there is no command `{args[0]}`{guess}", "`luci --help` shows the commands.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    from luci_dl.doctor.versions import versions

    click.echo("\n".join(f"{name} {version}" for name, version in versions().items()))
    ctx.exit()


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of luci and of what it stands on.",
)
def luci() -> None:
    """Download large model files so that a file is there whole, proved and safely on disk, or not at all."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line. Returns: the exit code."""
    if COMPLETION in os.environ:
        from luci_dl.cli.completion import answer

        return answer()
    try:
        code = luci.main(args=list(arguments), prog_name="luci", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "luci"
        usage = UsageError(error.format_message(), f"`{where} --help` shows how.")
        return report(usage, json="--json" in arguments)
    except LuciError as error:
        return report(error, json="--json" in arguments)
    except OSError as error:
        if error.errno != errno.ENOSPC or _HELP.isdisjoint(arguments):
            raise
        with contextlib.suppress(OSError):
            sys.stdout.close()  # else Python fails to flush it at exit, and exits with 120
        return _full()  # what click itself writes
    if not code and is_full(1):
        return _full()
    return code if isinstance(code, int) else 0


def _full() -> int:
    return report(StorageError("stdout could not take the output: its disk is full", "Write it somewhere else."))
