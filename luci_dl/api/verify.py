"""`luci verify`: whether installed files are still what was installed; on request wrong ones are installed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import LuciError, StorageError
from luci_dl.events import Emit, Failed, Verified, VerifySummary, ignore
from luci_dl.library.installed import installed
from luci_dl.library.lookup import find_installed
from luci_dl.library.verify import unmanaged
from luci_dl.library.verify import verify as verify_models
from luci_dl.model import Artifact


def verify(
    *names: str,
    folder: Folder = None,
    repair: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Verified]:
    """Read installed files again. Usable in any thread.

    Args:
        names: of the catalog, addresses as they were installed, or files; none means all.
        folder: look only into this models folder.
        repair: install wrong files again.

    Returns: a verdict for each file as it was found; without names also for files that luci did not install.
    Raises: ResolveError, for a name that is not installed; Interrupted; when all has been verified: the first
        LuciError of a repair, else StorageError, if something cannot be read; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        verdicts, error = check(names, folder, guard.token, guard.emit, repair=repair)
        if error:
            raise error
    return verdicts


def check(
    names: Sequence[str], folder: Folder, token: CancelToken, emit: Emit, *, repair: bool, lan: bool = True
) -> tuple[list[Verified], LuciError | None]:
    """Returns: the verdicts, and the error to end with, which was emitted; `lan`: a repair may ask it.

    Raises: as `verify`.
    """
    found, problems = settings(folder), Problems(emit)
    with problems.explain():
        folders, catalog = folders_of(found, folder, problems), load(found.catalog)
        models = everything = installed(folders, problems)
        if names:
            models = list(dict.fromkeys(model for name in names for model in find_installed(name, catalog, everything)))
    verdicts = verify_models(models, partial(_artifact_of, catalog), token, emit)
    strangers = [] if names else [each for path in folders for each in unmanaged(path, everything, token, problems)]
    for stranger in strangers:
        emit(stranger)
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    if verdicts or strangers:
        emit(VerifySummary(len(verdicts), len(wrong), len(strangers)))
    error: LuciError | None = None
    if problems.first:
        error = StorageError(f"not everything could be verified: {problems.first.message}", problems.first.hint)
        emit(Failed("", error.message, error.hint, error.exit_code))
    if wrong and repair:
        from luci_dl.install.repair import repair as install_again  # slow to load

        error = install_again(models, wrong, found if lan else replace(found, lan=()), token, emit) or error
    return [*verdicts, *strangers], error


def _artifact_of(catalog: Catalog, receipt: Receipt) -> Artifact | None:
    """The file in the catalog."""
    entry = catalog.find(receipt.reference)
    artifacts = entry.artifacts if entry else ()
    return next((artifact for artifact in artifacts if artifact.name == receipt.name), None)
