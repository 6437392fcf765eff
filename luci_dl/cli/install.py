"""`luci install`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.cli import complete, session
from luci_dl.config import keys as config_keys
from luci_dl.config.keys import Key
from luci_dl.config.settings import Settings, remember_folder
from luci_dl.errors import LuciError, StorageError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Model
from luci_dl.plan import Options
from luci_dl.sources.selection import FileSelection
from luci_dl.text import human_size

EPILOG = """\b
Examples:
  luci install llama3.2
  luci install core models
  luci install hf:OWNER/REPO:Q4_K_M
  luci install https://example.com/model.gguf --sha256 HEX
  luci install mistral phi-3 -j 2 --dir /data/models
  luci install mistral --from /media/usb --dry-run

\b
Exit codes: 0 done, 2 usage, 3 no such name, 4 network, 5 wrong bytes, 6 disk,
7 locked by another luci, 128+n ended by signal n.
"""

_TYPED = click.core.ParameterSource.COMMANDLINE

T = TypeVar("T")


def _checked(key: Key[T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """What the option says, by the rule of the setting that has the same name."""

    def callback(_ctx: click.Context, param: click.Parameter, text: str | None) -> T | None:
        return None if text is None else key.rule(text, param.opts[-1], Path())

    return callback


@click.command(epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="WORD...", shell_complete=complete.to_install)
@session.dir_option("Install into this models folder.", made=True)
@click.option("-o", "--output", metavar="NAME", help="The file's name, for one single-file reference.")
@click.option("--sha256", metavar="HEX", help="The digest of the file, for one single-file reference.")
@click.option(
    "-c",
    "--connections",
    callback=_checked(config_keys.CONNECTIONS),
    default="auto",
    metavar="auto|N",
    help="Connections for each file; auto measures.",
)
@click.option(
    "-j",
    "--jobs",
    callback=_checked(config_keys.JOBS),
    default="1",
    show_default=True,
    metavar="N",
    help="Models side by side.",
)
@click.option(
    "--limit-rate", callback=_checked(config_keys.LIMIT_RATE), metavar="RATE", help="Bytes a second in all, like 20M."
)
@click.option(
    "--retries",
    callback=_checked(config_keys.RETRIES),
    default="10",
    show_default=True,
    metavar="N",
    help="Failed attempts in a row that are forgiven.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait no longer for another luci that installs the same.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait for it at all (exit code 7).")
@click.option("--keep-partial", is_flag=True, help="Keep the partial download when interrupted, to resume later.")
@click.option("--no-resume", is_flag=True, help="Start over, whatever is there.")
@click.option("--force", is_flag=True, help="Replace files that are in the way or no longer what is named.")
@click.option("--unverified", is_flag=True, help="Allow plain http without a digest.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send it to the host of an address.")
@click.option("--no-projector", is_flag=True, help="Leave out the projector beside a vision model.")
@click.option("--all-files", is_flag=True, help="Every file of a Hub repository.")
@click.option("--include", multiple=True, metavar="GLOB", help="Files of a Hub repository that match.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not those that match.")
@click.option(
    "--from",
    "copies",
    multiple=True,
    metavar="PATH",
    shell_complete=complete.files,
    help="Take a right copy from this file or folder.",
)
@click.option("--no-adopt", is_flag=True, help="Do not look for copies in the caches of the Hub's tools and Ollama.")
@click.option("--offline", is_flag=True, help="Ask no server: say what is installed, and what would be needed.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done, and whether it would work.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before installing all models.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors, and the paths.")
@click.option("-v", "--verbose", is_flag=True, help="Tell each request, too; tokens are masked.")
def command(**given: Any) -> int:
    """Install models: each WORD is a name or alias of the catalog, a group (`core models`, `all models`), a Hub
    repository (hf:OWNER/REPO:QUANT), an Ollama name (ollama:MODEL:TAG), or an https:// address. A file appears under
    its final name only when it is complete, verified and safely on disk.
    """
    flags = _Flags(**given)
    try:
        settings = session.settings_for(flags.folder)
        options, choice = _options(flags, settings), _choice(flags)
    except LuciError as error:
        return session.report(error, json=flags.as_json)

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.install.batch import exit_code
        from luci_dl.install.request import InstallRequest  # the engine: not before the options are right

        log, named = emit if flags.verbose else None, flags.folder is not None
        request = InstallRequest.resolve(
            flags.words, settings, choice, options, token, emit, named_folder=named, log=log
        )
        if flags.dry_run:
            return request.forecast()
        if "all" in (word.casefold() for word in flags.words) and not flags.yes:
            _ask(request.models, token)
        plans = request.plans()
        if named:
            _remember(settings, token, emit)
        return exit_code(request.install(plans))

    return session.run(work, json=flags.as_json, quiet=flags.quiet)


@dataclass(frozen=True)
class _Flags:
    """What the command line says."""

    words: tuple[str, ...]
    folder: str | None
    output: str | None
    sha256: str | None
    connections: int | None
    jobs: int
    limit_rate: int | None
    retries: int
    wait: float | None
    no_wait: bool
    keep_partial: bool
    no_resume: bool
    force: bool
    unverified: bool
    headers: tuple[str, ...]
    no_projector: bool
    all_files: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    copies: tuple[str, ...]
    no_adopt: bool
    offline: bool
    dry_run: bool
    yes: bool
    as_json: bool
    quiet: bool
    verbose: bool


def _options(flags: _Flags, settings: Settings) -> Options:
    """Raises: UsageError, for options that exclude each other."""
    if flags.no_wait and flags.wait is not None:
        raise UsageError("--wait and --no-wait exclude each other")
    if flags.quiet and flags.verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    return replace(
        settings.options,
        **_given("jobs", "connections", "limit_rate", "retries"),
        wait=0.0 if flags.no_wait else flags.wait,
        keep_partial=flags.keep_partial or settings.options.keep_partial,
        resume=not flags.no_resume,
        force=flags.force,
        unverified=flags.unverified,
        offline=flags.offline,
        adopt=not flags.no_adopt,
        copies=tuple(Path(path).absolute() for path in flags.copies),
    )


def _given(*names: str) -> dict[str, Any]:
    """Those options that stand on the command line, where they beat the settings."""
    context = click.get_current_context()
    return {name: context.params[name] for name in names if context.get_parameter_source(name) is _TYPED}


def _choice(flags: _Flags) -> FileSelection:
    """Raises: UsageError, for a header that is none."""
    if flags.all_files and (flags.include or flags.exclude):
        raise UsageError("--all-files and --include or --exclude exclude each other")
    return FileSelection(
        output=flags.output,
        sha256=flags.sha256,
        headers=dict(map(_header, flags.headers)),
        projector=not flags.no_projector,
        all_files=flags.all_files,
        include=flags.include,
        exclude=flags.exclude,
        unverified=flags.unverified,
    )


def _header(text: str) -> tuple[str, str]:
    """Name and value. Raises: UsageError, which does not show the value: it may be a password."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not value.isprintable():
        raise UsageError("--header: expected NAME: VALUE", "For example: --header 'Authorization: Bearer TOKEN'")
    if name.casefold() in ("host", "range", "if-range", "content-length", "transfer-encoding", "accept-encoding"):
        raise UsageError(f"--header: {name} is what luci itself says")
    return name, value.strip()


def _ask(models: Sequence[Model], token: CancelToken) -> None:
    """Raises: UsageError, unless somebody at the terminal says yes; Interrupted."""
    total = sum(artifact.size or 0 for model in models for artifact in model.artifacts)
    at_least = "at least " if any(model.size is None for model in models) else ""
    what = f"{len(models)} models, {at_least}{human_size(total)}"
    if not (os.isatty(0) and os.isatty(2)):  # sys.stdin is None where it was closed
        raise UsageError(f"`all` means {what}, and nobody is at a terminal to agree", "Agree beforehand with --yes.")
    if not session.agreed(f"Install all: {what}?", token):
        raise UsageError("nothing was installed", "Name the models that you want, or a group.")


def _remember(settings: Settings, token: CancelToken, emit: Emit) -> None:
    """Have the other commands look into the `--dir` folder from now on. Raises: Interrupted."""
    try:
        run_cancellable(lambda: remember_folder(settings, settings.models_dir), token)  # it waits for a lock
    except (UsageError, StorageError) as error:
        emit(Warned(f"{error.message}; `luci list` and `luci clean` will need --dir to find this folder"))
