"""`luci config`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, config_show, session
from luci_dl.cli.table import table
from luci_dl.config.file import ConfigFile, change_config
from luci_dl.config.keys import KEYS, Key
from luci_dl.config.settings import config_path, home_of, near_key
from luci_dl.errors import LuciError, UsageError
from luci_dl.events import Emit
from luci_dl.text import printable

EPILOG = """\b
Examples:
  luci config list
  luci config set models_dir /data/models
  luci config set mirrors https://mirror.example https://other.example
  luci config unset folders /media/usb
  luci config get models_dir

\b
With --json: of each setting "name", "value" (null for none), "origin"
("default", "config.json" or a variable), "purpose" and "problem" (null where
luci does not know it; null when all is well). `list` gives an array of them,
the others one.
"""


def _examples(*lines: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


@click.group(epilog=EPILOG)
def command() -> None:
    """Settings, which are kept in config.json: get and set them, take them away, see where each comes from.

    An option of a command beats a variable of the environment, which beats config.json.
    """


AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")
NAME = click.argument("name", shell_complete=complete.settings)


@command.command(
    "list",
    short_help="Every setting, its value and where that comes from.",
    epilog=_examples("luci config list", "luci config list --json"),
)
@AS_JSON
def show_all(as_json: bool) -> int:
    """Show every setting, its value and where that comes from; also what luci does not know in config.json."""
    try:
        shown = config_show.every_setting(os.environ)
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if as_json:
        output.results([json.dumps([setting.facts() for setting in shown])])
    else:
        output.results(table([("NAME", "VALUE", "FROM"), *(setting.row() for setting in shown)], output.out, (1,)))
    problems = [setting.problem for setting in shown if setting.problem]
    for problem in () if as_json else problems:
        session.report(problem)
    return UsageError.exit_code if problems else 0


@command.command(
    "get",
    short_help="Print one value.",
    epilog=_examples("luci config get models_dir", 'cd "$(luci config get models_dir)"'),
)
@NAME
@AS_JSON
def show(name: str, as_json: bool) -> int:
    """Print the value that holds, one a line of a list; nothing when there is none."""
    try:
        setting = next((one for one in config_show.every_setting(os.environ) if one.name == name), None)
        if setting is None:
            raise _unknown(name)
        if setting.problem:
            raise setting.problem
    except LuciError as error:
        return session.report(error, json=as_json)
    if as_json:
        session.output().results([json.dumps(setting.facts())])
    else:
        session.output().paths(setting.texts)  # exact to the byte: most are paths
    return 0


@command.command(
    "set",
    short_help="Check a value and write it.",
    epilog=_examples("luci config set min_free 5G", "luci config set on_interrupt keep"),
)
@NAME
@click.argument("values", nargs=-1, required=True, metavar="VALUE...", shell_complete=complete.setting_values)
@AS_JSON
def change(name: str, values: tuple[str, ...], as_json: bool) -> int:
    """Check the value, then write it; of a list, all VALUEs. A relative path starts where you are."""
    try:
        key = _known(name)
        value = config_show.checked(key, values)
    except LuciError as error:
        return session.report(error, json=as_json)

    def replaced(config: ConfigFile) -> Mapping[str, object]:
        return {**config.values, name: key.json(value)}

    return _change(name, replaced, as_json)


@command.command(
    "unset",
    short_help="Take a setting out of config.json.",
    epilog=_examples("luci config unset models_dir", "luci config unset folders /media/usb"),
)
@NAME
@click.argument("values", nargs=-1, metavar="[VALUE...]", shell_complete=complete.setting_values)
@AS_JSON
def take_away(name: str, values: tuple[str, ...], as_json: bool) -> int:
    """Take the setting out of config.json, so that the default holds again; of a list, only the VALUEs, if given."""

    def rest(config: ConfigFile) -> Mapping[str, object] | None:
        left = dict(config.values)
        if name not in left and name not in KEYS:
            raise _unknown(name, left)
        if values:
            key = _known(name)
            kept = config_show.without(key, config.get(key, ()), values)
            left[name] = key.json(kept)
            if kept:
                return left
        if name not in left:
            return None
        del left[name]
        return left

    return _change(name, rest, as_json)


def _change(name: str, make: Callable[[ConfigFile], Mapping[str, object] | None], as_json: bool) -> int:
    """Rewrite config.json, and tell what holds then."""

    def work(token: CancelToken, _emit: Emit) -> int:
        path = config_path(home_of(os.environ))
        change_config(path, make, token)
        return 0

    code = session.run(work, json=as_json, quiet=not as_json, what="Change")
    if code:
        return code
    after = next((one for one in config_show.every_setting(os.environ) if one.name == name), None)
    output = session.output()
    if as_json:
        output.results([json.dumps(after.facts() if after else None)])
    elif after is None:
        output.say([f"{printable(name)} is gone from config.json"])
    else:
        output.say(after.told())
    return 0


def _known(name: str) -> Key[Any]:
    """Raises: UsageError"""
    if name not in KEYS:
        raise _unknown(name)
    return KEYS[name]


def _unknown(name: str, others: Collection[str] = ()) -> UsageError:
    near = near_key(name, others)
    guess = f"; did you mean {near}?" if near else ""
    return UsageError(f'there is no setting "{printable(name)}"{guess}', "`luci config list` shows them all.")
