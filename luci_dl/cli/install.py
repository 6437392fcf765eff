"""`luci install`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from luci_dl.artifact import Model
from luci_dl.cancel import CancelToken, off_thread
from luci_dl.cli import session
from luci_dl.config import Settings, parse_size, remember_folder
from luci_dl.errors import LuciError, StorageError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.plan import Options, Plan
from luci_dl.text import human_size

EPILOG = """\b
Examples:
  luci install llama3.2
  luci install core models
  luci install https://example.com/model.gguf --sha256 HEX
  luci install mistral phi-3 -j 2 --dir /data/models

\b
Exit codes: 0 done, 2 usage, 3 no such name, 4 network, 5 wrong bytes, 6 disk,
7 locked by another luci, 128+n ended by signal n.
"""


def _connections(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    """1 to 16, or "auto", which is None."""
    if text == "auto":
        return None
    if not (text.isdecimal() and 1 <= int(text) <= 16):
        raise click.BadParameter(f'expected "auto" or a number from 1 to 16, found "{text}"')
    return int(text)


def _rate(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Bytes a second; None for no limit."""
    if text is None:
        return None
    try:
        rate = parse_size(text.removesuffix("/s"))
    except UsageError as error:
        raise click.BadParameter(error.message) from error
    if rate < 1:
        raise click.BadParameter("expected at least one byte a second")
    return rate


@click.command(epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="WORD...")
@click.option("--dir", "folder", metavar="PATH", help="Install into this models folder.")
@click.option("-o", "--output", metavar="NAME", help="The file's name, for one single-file reference.")
@click.option("--sha256", metavar="HEX", help="The digest of the file, for one single-file reference.")
@click.option(
    "-c",
    "--connections",
    callback=_connections,
    default="auto",
    metavar="auto|N",
    help="Connections for each file; auto measures.",
)
@click.option(
    "-j", "--jobs", type=click.IntRange(1, 16), default=1, show_default=True, metavar="N", help="Models side by side."
)
@click.option("--limit-rate", callback=_rate, metavar="RATE", help="Bytes a second in all, like 20M.")
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=10,
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
@click.option("-y", "--yes", is_flag=True, help="Do not ask before installing all models.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors, and the paths.")
def command(
    words: tuple[str, ...],
    folder: str | None,
    output: str | None,
    sha256: str | None,
    connections: int | None,
    jobs: int,
    limit_rate: int | None,
    retries: int,
    wait: float | None,
    no_wait: bool,
    keep_partial: bool,
    no_resume: bool,
    force: bool,
    unverified: bool,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Install models: each WORD is a name or alias of the catalog, a group (`core models`, `all models`), or an
    https:// address. A file appears under its final name only when it is complete, verified and safely on disk.
    """
    try:
        if no_wait and wait is not None:
            raise UsageError("--wait and --no-wait exclude each other")
        settings = session.settings_for(folder)
        options = Options(
            jobs=jobs,
            connections=connections,
            limit_rate=limit_rate,
            retries=retries,
            wait=0.0 if no_wait else wait,
            keep_partial=keep_partial or settings.on_interrupt == "keep",
            resume=not no_resume,
            force=force,
            unverified=unverified,
            min_free=settings.min_free,
        )
        models = _resolve(words, settings, output, sha256, unverified)
        if "all" in (word.casefold() for word in words) and not yes:
            _ask(models)
    except LuciError as error:
        return session.report(error, json=as_json)
    plans = [Plan(model, settings.models_dir) for model in models]

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.installer import exit_code, install_models  # the network: not before the words are right

        if folder is not None:
            _remember(settings, token, emit)
        return exit_code(install_models(plans, options, token, emit))

    return session.run(work, json=as_json, quiet=quiet)


def _resolve(
    words: Sequence[str], settings: Settings, output: str | None, sha256: str | None, unverified: bool
) -> list[Model]:
    from luci_dl.sources import catalog
    from luci_dl.sources.resolve import resolve

    known = catalog.load(settings.catalog)
    return resolve(words, known, output=output, sha256=sha256, unverified=unverified)


def _ask(models: Sequence[Model]) -> None:
    """Raises: UsageError, unless somebody at the terminal says yes."""
    total = sum(artifact.size or 0 for model in models for artifact in model.artifacts)
    at_least = "at least " if any(model.size is None for model in models) else ""
    what = f"{len(models)} models, {at_least}{human_size(total)}"
    if not (os.isatty(0) and os.isatty(2)):  # sys.stdin is None where it was closed
        raise UsageError(f"`all` means {what}, and nobody is at a terminal to agree", "Agree beforehand with --yes.")
    try:
        agreed = click.confirm(f"Install all: {what}?", err=True)
    except click.Abort:  # the end of the input
        agreed = False
    if not agreed:
        raise UsageError("nothing was installed", "Name the models that you want, or a group.")


def _remember(settings: Settings, token: CancelToken, emit: Emit) -> None:
    """Have the other commands look into the `--dir` folder from now on. Raises: Interrupted."""
    try:
        off_thread(lambda: remember_folder(settings, settings.models_dir), token)  # it waits for a lock
    except (UsageError, StorageError) as error:
        emit(Warned(f"{error.message}; `luci list` and `luci clean` will need --dir to find this folder"))
