"""The commands, each imported when it is used, so that luci starts fast."""

from __future__ import annotations

import contextlib
import errno
import importlib
import keyword
import os
import sys
from collections.abc import Sequence

import click

from luci_dl.cli import options
from luci_dl.cli.session import report
from luci_dl.errors import MAY_BE_REFUSALS, LuciError, StorageError, UsageError, refusal
from luci_dl.text import did_you_mean
from luci_dl.ui.stream import is_full

COMMANDS = {
    "install": "Install models.",
    "clean": "Remove what interrupted downloads and crashes left behind.",
    "list": "Show the installed models, or those of the catalog.",
    "search": "Search the catalog: names, aliases, families, groups, licences and file names.",
    "info": "Show everything known about one model, installed or not.",
    "path": "Print the path of an installed model, and nothing else.",
    "verify": "Check that installed files are unchanged.",
    "remove": "Uninstall models.",
    "outdated": "Show which installed models have changed upstream.",
    "upgrade": "Replace outdated models by their new versions.",
    "move": "Move installed models to another folder or disk.",
    "export": "Copy installed models to a USB stick, for machines without a network.",
    "import": "Install models from a USB stick, without a network.",
    "push": "Send installed models to a bucket of S3, from which luci installs them.",
    "link": "Let other programs use installed models, without a second copy.",
    "unlink": "Remove what `luci link` made; the models stay installed.",
    "serve": "Serve models to other machines on the network.",
    "status": "Show what luci is installing now.",
    "config": "Show and change settings.",
    "catalog": "Maintain your own catalog.",
    "doctor": "Check everything that an install needs, and say what to do.",
    "shell": "Open a prompt that takes the same words as `luci`.",
    "completion": "Print the script that lets the TAB key complete luci's words.",
    "help": "Show the commands, or how to use one.",
    "version": "Show the versions of luci, of Python and of the libraries it uses.",
    "demo": "See luci work, offline: a download, an interrupt, a crash, a clean-up.",
}
"""Each command, in the module of its name beside this one, with the first sentence of its help."""

COMPLETION = "_LUCI_COMPLETE"
"""The variable by which a shell asks for completions instead of running the command."""

_HELP = {"help", "-h", "--help", "--version"}
_UNINSTALL = ("uninstall", "rm", "delete")


class Commands(click.Group):
    """The commands by name, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"luci_dl.cli.{name}{'_' if keyword.iskeyword(name) else ''}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in _UNINSTALL:
            raise UsageError(f"there is no command `{args[0]}`; did you mean `luci remove`?")
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # rarely needed

            guess = did_you_mean(*(f"`luci {near}`" for near in get_close_matches(args[0], COMMANDS, 1, 0.7)))
            raise UsageError(f"there is no command `{args[0]}`{guess}", "`luci help` shows the commands and topics.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(ctx: click.Context, _param: click.Parameter, given: bool) -> None:
    if not given or ctx.resilient_parsing:
        return
    from luci_dl.api.version import versions

    click.echo("\n".join(f"{name} {version}" for name, version in versions().items()))
    ctx.exit()


@click.group(
    cls=Commands,
    epilog=options.examples("luci install llama3.2", "luci install core models", "luci clean"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of luci, of Python and of the libraries it uses.",
)
def luci() -> None:
    """Download large model files.

    A file appears under its final name only when it is complete, verified and safely on disk.
    """


def run(arguments: Sequence[str], started: Sequence[str] = ()) -> int:
    """Run the command line.

    Args:
        started: the command that this process was started with, without the arguments, if luci is its main program.

    Returns: the exit code.
    """
    if COMPLETION in os.environ:
        from luci_dl.cli.completion import answer

        return answer()
    try:
        code = luci.main(args=list(arguments), prog_name="luci", obj=started, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "luci"
        usage = UsageError(error.format_message(), f"See `{where} --help`.")
        return report(usage, json="--json" in arguments)
    except LuciError as error:
        return report(error, json="--json" in arguments)
    except MAY_BE_REFUSALS as error:
        if refused := refusal(error):
            return report(refused, json="--json" in arguments)
        if not isinstance(error, OSError) or error.errno != errno.ENOSPC or _HELP.isdisjoint(arguments):
            raise
        with contextlib.suppress(OSError):
            sys.stdout.close()  # else Python fails to flush it at exit, and exits with 120
        return _disk_full()  # raised by what click itself prints
    if not code and is_full(1):
        return _disk_full()
    return code if isinstance(code, int) else 0


def _disk_full() -> int:
    return report(StorageError("cannot write to stdout: its disk is full", "Write the output somewhere else."))
