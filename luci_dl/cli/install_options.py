"""The options of `luci install`, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from luci_dl.api.config import KEYS, Settings
from luci_dl.cli import complete, options
from luci_dl.cli.options import Command
from luci_dl.errors import UsageError
from luci_dl.plan import Options

if TYPE_CHECKING:
    from luci_dl.api.install import FileSelection

Given = Mapping[str, Any]
"""The values of the options, by parameter name."""

_TYPED = click.core.ParameterSource.COMMANDLINE
_SETTINGS = ("jobs", "connections", "limit_rate", "retries", "timeout")
_OWN_HEADERS = ("host", "range", "if-range", "content-length", "transfer-encoding", "accept-encoding")


def _checked(_ctx: click.Context, option: click.Parameter, text: str | None) -> Any:
    """The option's value, by the rule of the setting that has the same name."""
    return None if text is None else KEYS[option.name or ""].kind.parse(text, option.opts[-1], Path())


def _setting(*names: str, metavar: str, help: str, default: str | None = None) -> Callable[[Command], Command]:
    """An option that overrides a setting."""
    shown = default not in (None, "auto")
    return click.option(*names, callback=_checked, default=default, show_default=shown, metavar=metavar, help=help)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    options.folder("Install into this models folder.", may_be_missing=True),
    click.option("-o", "--output", metavar="NAME", help="Name of the file, if WORD refers to a single file."),
    click.option("--sha256", metavar="HEX", help="Expected SHA-256, if WORD refers to a single file."),
    _setting("-c", "--connections", default="auto", metavar="auto|N", help="Connections per file; auto measures."),
    _setting("-j", "--jobs", default="1", metavar="N", help="Models to install side by side."),
    _setting(
        "--limit-rate",
        metavar="RATE",
        help="Limit of the total speed in bytes per second, such as 20M; at times of day: 09:00-17:00=2M,10M.",
    ),
    _setting("--retries", default="10", metavar="N", help="Consecutive failures allowed."),
    _setting(
        "--timeout", default="auto", metavar="auto|SECONDS", help="Give up a connection after SECONDS of silence."
    ),
    click.option(
        "--wait",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="How long to wait for another luci that installs the same model.",
    ),
    options.flag("--no-wait", help="Do not wait for another luci (exit code 7)."),
    options.flag("--keep-partial", help="Keep the partial download when interrupted, to resume it later."),
    options.flag("--no-resume", help="Start over, even if there is a partial download."),
    options.flag("--force", help="Replace files that are in the way or out of date."),
    options.flag("--unverified", help="Allow plain http without a digest."),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Send this header to the host of an address.",
    ),
    options.flag("--no-projector", help="Leave out the projector of a vision model."),
    options.flag("--all-files", help="Install every file of a Hub repository."),
    options.flag("--safe-only", help="Leave out files that may run code when loaded: pickles (.bin, .pt, .ckpt ...)."),
    click.option("--include", multiple=True, metavar="GLOB", help="Files of a Hub repository to install."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Files of a Hub repository to leave out."),
    click.option(
        "--from",
        "copies",
        multiple=True,
        metavar="PATH",
        shell_complete=complete.files,
        help="Look for a copy in this file or folder first.",
    ),
    click.option(
        "--link",
        "links",
        multiple=True,
        metavar="TARGET",
        shell_complete=complete.link_targets,
        help="Link the models to hf, ollama, lmstudio, llama-server or a folder: see luci link --help.",
    ),
    options.flag("--no-adopt", help="Do not look for copies in the caches of Ollama and the Hub's tools."),
    options.no_lan,
    click.option(
        "--swarm/--no-swarm",
        default=None,
        help="Share files of these servers with other hosts while they fetch them.",
    ),
    options.flag("--offline", help="Contact no server; say what is installed and what would be needed."),
    options.flag("--dry-run", help="Only show what would be done, and whether it would work."),
    options.flag("-y", "--yes", help="Do not ask before installing all models."),
    options.json_events,
    options.flag("-q", "--quiet", help="Print only errors and the paths."),
    options.verbose,
)


def install_options(command: Command) -> Command:
    """Add the options to the command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_of(given: Given, settings: Settings) -> Options:
    """How to install. Raises: UsageError, for options that exclude each other."""
    if given["no_wait"] and given["wait"] is not None:
        raise UsageError("--wait and --no-wait exclude each other")
    source = click.get_current_context().get_parameter_source
    return replace(
        settings.options,
        **{name: given[name] for name in _SETTINGS if source(name) is _TYPED},
        wait=0.0 if given["no_wait"] else given["wait"],
        keep_partial=given["keep_partial"] or settings.options.keep_partial,
        resume=not given["no_resume"],
        force=given["force"],
        unverified=given["unverified"],
        offline=given["offline"],
        lan=() if given["no_lan"] else settings.options.lan,
        swarm=settings.options.swarm and not given["no_lan"] if given["swarm"] is None else given["swarm"],
        adopt=not given["no_adopt"],
        links=tuple(dict.fromkeys((*settings.options.links, *given["links"]))),
        copies=tuple(Path(path).absolute() for path in given["copies"]),
    )


def selection_of(given: Given) -> FileSelection:
    """Which files to install. Raises: UsageError, for options that exclude each other and for an invalid header."""
    if given["all_files"] and (given["include"] or given["exclude"]):
        raise UsageError("--all-files and --include or --exclude exclude each other")
    headers = dict(map(_header, given["headers"]))
    from luci_dl.api.install import FileSelection  # the engine: loaded once the options are known to be valid

    return FileSelection(
        output=given["output"],
        sha256=given["sha256"],
        headers=headers,
        projector=not given["no_projector"],
        all_files=given["all_files"],
        include=given["include"],
        exclude=given["exclude"],
        safe_only=given["safe_only"],
        unverified=given["unverified"],
    )


def _header(text: str) -> tuple[str, str]:
    """Name and value. Raises: UsageError, which does not show the value: it may be a password."""
    name, colon, value = text.partition(":")
    is_sendable = value.isprintable() and value.isascii()
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not is_sendable:
        raise UsageError(
            "--header: expected NAME: VALUE in ASCII", "For example: --header 'Authorization: Bearer TOKEN'"
        )
    if name.casefold() in _OWN_HEADERS:
        raise UsageError(f"--header: luci sets {name} itself")
    return name, value.strip()
