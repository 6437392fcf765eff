"""`luci install`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from luci_dl.api.config import Settings
from luci_dl.api.config import settings as settings_of
from luci_dl.api.folders import missing_folder, remembered, without_missing_backup
from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, session
from luci_dl.cli.install_options import install_options, options_of, selection_of
from luci_dl.cli.options import examples
from luci_dl.errors import UsageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Model
from luci_dl.text import human_size


@click.command(
    epilog=examples(
        "luci install llama3.2",
        "luci install core models",
        "luci install hf:OWNER/REPO:Q4_K_M",
        "luci install hf:OWNER/REPO:fit",
        "luci install https://example.com/model.gguf --sha256 HEX",
        "luci install mistral phi-3 -j 2 --dir /data/models",
        "luci install mistral --from /media/usb --dry-run",
        more="GLOB without a slash matches the file name in any folder, else the whole path: * stays within a folder, "
        "** does not, and a slash at the end means everything below. Hidden files are left out; 400 files at most.\n\n"
        "Exit codes: 0 done, 2 usage, 3 unknown name, 4 network, 5 wrong bytes, 6 disk, "
        "7 locked by another luci, 128+n killed by signal n.",
    )
)
@click.argument("words", nargs=-1, metavar="WORD...", shell_complete=complete.to_install)
@install_options
def command(
    words: tuple[str, ...],
    folder: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Install models.

    Each WORD is a name or alias from the catalog, a group (`core models`, `all models`), a Hub repository
    (hf:OWNER/REPO:QUANT, or :fit for the largest that this machine can run), an Ollama model (ollama:MODEL:TAG), an
    https:// address, or a place in a bucket (s3://BUCKET/KEY, see `luci push`). A file appears under its final name
    only when it is complete, verified and safely on disk.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other")
    settings = settings_of(folder)
    options, selection = options_of(given, settings), selection_of(given)

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.install import InstallRequest, exit_code

        log, named_folder = emit if verbose else None, folder is not None
        _confirm_missing(settings, token, emit, ask=not (yes or dry_run))
        request = InstallRequest.resolve(
            words,
            without_missing_backup(settings, emit),
            selection,
            options,
            token,
            emit,
            named_folder=named_folder,
            log=log,
        )
        if dry_run:
            return request.forecast()
        if {"all", "everything"} & {word.casefold() for word in words} and not yes:
            _confirm_all(request.models, token)
        plans = request.plans()
        with remembered(settings, plans, token, emit, named=named_folder):
            return exit_code(request.install(plans))

    return session.run(work, json=as_json, quiet=quiet)


def _confirm_all(models: Sequence[Model], token: CancelToken) -> None:
    """Raises: UsageError, unless the user confirms; Interrupted."""
    total = sum(artifact.size or 0 for model in models for artifact in model.artifacts)
    at_least = "at least " if any(model.size is None for model in models) else ""
    what = f"{len(models)} models, {at_least}{human_size(total)}"
    if not session.confirmed(f"Install all: {what}?", f"to install all ({what})", token):
        raise UsageError("nothing was installed", "Name the models or the group that you want.")


def _confirm_missing(settings: Settings, token: CancelToken, emit: Emit, *, ask: bool) -> None:
    """Raises: StorageError, if the models folder is missing and the user refuses to create it again; Interrupted."""
    error = missing_folder(settings, settings.models_dir)
    if error is None:
        return
    if not ask:
        emit(Warned(f"{error.message}. {error.hint}"))
    elif not session.confirmed(
        "Install into it anyway?", f"to install, as {error.message}", token, [f"⚠️  {error.message}. {error.hint}"]
    ):
        raise error
