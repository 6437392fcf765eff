"""`luci config`."""

from __future__ import annotations

from collections.abc import Callable

import click

from luci_dl.api.config import FILE, SettingState, every_setting, set_setting, unknown_setting, unset_setting
from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import did_you_mean, printable


@click.group(
    epilog=options.examples(
        "luci config list",
        "luci config set models_dir /data/models",
        "luci config set mirrors https://mirror.example https://other.example",
        "luci config set lan http://lab:8480",
        "luci config unset folders /media/usb",
        "luci config get models_dir",
        more="`luci help settings` describes every setting.",
    )
)
def command() -> None:
    """Show and change the settings, which are kept in config.json.

    An option of a command overrides an environment variable, which overrides config.json.
    """


NAME = click.argument("name", shell_complete=complete.settings)


@command.command(
    "list",
    epilog=options.examples("luci config list", "luci config list --json"),
)
@options.json_answer
def show_all(as_json: bool) -> int:
    """Show every setting, its value and where it comes from. Unknown names in config.json are shown, too."""
    states, output = every_setting(), session.output()
    if as_json:
        output.results([answer("config list", states)])
    else:
        output.results(table([("NAME", "VALUE", "FROM"), *map(_row, states)], output.out, (1,)))
    problems = [state.problem for state in states if state.problem]
    for problem in () if as_json else problems:
        session.report(problem)
    return UsageError.exit_code if problems else 0


@command.command(
    "get",
    epilog=options.examples("luci config get models_dir", 'cd "$(luci config get models_dir)"'),
)
@NAME
@options.json_answer
def show(name: str, as_json: bool) -> int:
    """Print one value. A list is one item per line; nothing is printed if there is no value."""
    state = _state_of(name)
    if state is None:
        raise unknown_setting(name)
    if state.problem:
        raise state.problem
    if as_json:
        session.output().results([answer("config get", state)])
    else:
        session.output().paths(state.texts)  # exact to the byte: most are paths
    return 0


@command.command(
    "set",
    epilog=options.examples(
        "luci config set min_free 5G", "luci config set on_interrupt keep", "luci config set limit_rate 09:00-17:00=2M"
    ),
)
@NAME
@click.argument("values", nargs=-1, required=True, metavar="VALUE...", shell_complete=complete.setting_values)
@options.json_answer
def change(name: str, values: tuple[str, ...], as_json: bool) -> int:
    """Check a value and write it. A list takes several VALUEs; a relative path starts from the current folder."""
    return _change(name, lambda token: set_setting(name, values, token), as_json)


@command.command(
    "unset",
    epilog=options.examples("luci config unset models_dir", "luci config unset folders /media/usb"),
)
@NAME
@click.argument("values", nargs=-1, metavar="[VALUE...]", shell_complete=complete.setting_values)
@options.json_answer
def unset(name: str, values: tuple[str, ...], as_json: bool) -> int:
    """Remove a setting from config.json. Its default applies again then; of a list, VALUEs may be named."""
    return _change(name, lambda token: unset_setting(name, values, token), as_json)


def _change(name: str, make: Callable[[CancelToken], None], as_json: bool) -> int:
    """Change config.json, then show the setting as it is now."""

    def work(token: CancelToken, _emit: Emit) -> int:
        make(token)
        return 0

    code = session.run(work, json=as_json, quiet=not as_json, what="Change")
    if code:
        return code
    state, output = _state_of(name), session.output()
    if as_json:
        output.results([answer("config unset", state)])
    elif state is None:
        output.say([f"{printable(name)} was removed from {FILE}"])
    else:
        output.say([f"{name} is now: {printable(', '.join(state.texts) or 'none')} ({state.origin})"])
        output.say([f"⚠️  {state.origin} is set in the environment and overrides {FILE}"] if state.overrides else [])
    return 0


def _state_of(name: str) -> SettingState | None:
    """Raises: UsageError; StorageError."""
    return next((state for state in every_setting() if state.name == name), None)


def _row(state: SettingState) -> tuple[str, str, str]:
    origin = state.origin
    if state.purpose is None:
        origin += f" (unknown{did_you_mean(state.near)})"
    return state.name, ", ".join(state.texts) or "none", origin + (" (invalid)" if state.problem else "")
