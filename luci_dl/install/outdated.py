"""Compares installed models with what their references name now: by digests, never by dates or commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from luci_dl.config.settings import Settings
from luci_dl.disk import target
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import Interrupted, LuciError, NetworkError, NotFound
from luci_dl.frozen import frozen
from luci_dl.install.context import InstallContext
from luci_dl.install.inspect import remote_of
from luci_dl.install.servers import resolve_words
from luci_dl.library.installed import InstalledModel
from luci_dl.model import MANIFEST, Artifact, Model
from luci_dl.net.network import ASK_SERVERS
from luci_dl.pool import run_side_by_side
from luci_dl.sources.base import source_of
from luci_dl.sources.selection import FileSelection
from luci_dl.text import distinct_address, has_hidden_query, printable

ASKED_AT_ONCE = 8
"""Models that servers are asked about at the same time."""
RETRIES = 2
"""Failures allowed for each request, where the setting is not lower: a list should not wait for a dead server."""

State = Literal["current", "outdated", "gone", "unknown", "pinned"]


@frozen
class Standing:
    """How an installed model compares with what its reference names now.

    Attributes:
        state: "current"; "outdated": the reference names other files; "gone": it names nothing any more; "unknown":
            that could not be found out; "pinned": it means the same bytes for ever, so no server was asked.
        reason: why it is gone, unknown or pinned, or outdated though its files are the same; else empty.
        available: what the reference names now; None if that was not found out.
        fetch: bytes that an upgrade would fetch; None if unknown.
        error: what made it gone or unknown, if anything failed.
    """

    model: InstalledModel
    state: State
    reason: str = ""
    available: Model | None = None
    fetch: int | None = 0
    error: LuciError | None = None

    @property
    def installed_sha256(self) -> str:
        """Of the file to load."""
        return self.model.to_load.receipt.sha256

    @property
    def available_sha256(self) -> str | None:
        """Of the file to load, as far as it is known."""
        return self.available.artifacts[0].sha256 if self.available else None

    @property
    def unreachable(self) -> bool:
        """Whether a server could not be asked."""
        return isinstance(self.error, NetworkError)


def compare(
    models: Sequence[InstalledModel], settings: Settings, context: InstallContext, *, guess: bool = False
) -> list[Standing]:
    """Compare the models, several at a time.

    Args:
        guess: ask with the default options where a receipt does not say what was asked.

    Returns: one for each model, in the same order. Raises: Interrupted.
    """
    # the LAN may still state what a reference named some time ago
    options = replace(context.options, retries=min(RETRIES, context.options.retries), lan=())
    one = partial(_compare, settings=settings, context=replace(context, options=options), guess=guess)
    return run_side_by_side(one, models, context.token, ASKED_AT_ONCE)


def _compare(installed: InstalledModel, settings: Settings, context: InstallContext, guess: bool) -> Standing:
    """Raises: Interrupted."""
    if has_hidden_query(installed.reference):
        return Standing(installed, "unknown", "its address had a query, which luci does not keep")
    if pin := _pin(installed):
        return Standing(installed, "pinned", pin)
    if installed.question is None and not guess:
        why = "an older luci installed it without recording the options; install or upgrade it to record them"
        return Standing(installed, "unknown", why)
    try:
        if context.network.offline and source_of(installed.reference):
            raise NetworkError(f"{printable(installed.reference)} cannot be looked up offline", ASK_SERVERS)
        selection = FileSelection.from_asked(installed.question or {})
        (model,) = resolve_words([installed.reference], settings, selection, context)
        model = replace(model, asked=model.asked if installed.question is None else installed.question)
        return _compare_files(installed, model, context)
    except Interrupted:
        raise
    except LuciError as error:
        state: State = "gone" if isinstance(error, NotFound) else "unknown"
        return Standing(installed, state, error.message, error=error)


def _pin(installed: InstalledModel) -> str:
    """Why the reference means the same bytes for ever; empty if it need not."""
    if "sha256" in (installed.question or {}):
        return "it was installed by its SHA-256"
    source = source_of(installed.reference)
    return "its reference names a commit" if source and source.is_pinned(installed.reference) else ""


def _compare_files(installed: InstalledModel, model: Model, context: InstallContext) -> Standing:
    """Raises: LuciError, when a server cannot be asked, or a file cannot be read."""
    known = {file.receipt.name: file.receipt for file in installed.files}
    here = {file.receipt.sha256 for file in installed.files if file.state != "missing"}
    same_names = {artifact.name for artifact in model.artifacts} == set(installed.names)
    if installed.question is None and not same_names:
        return Standing(installed, "unknown", "it has other files now, and the options of its install are not recorded")
    files = [_compare_file(installed, known.get(artifact.name), artifact, context) for artifact in model.artifacts]
    model = replace(model, artifacts=tuple(artifact for artifact, _ in files))
    sizes = [0 if artifact.sha256 in here else artifact.size for artifact, is_same in files if is_same is False]
    fetch = None if None in sizes else sum(size for size in sizes if size is not None)
    if not same_names or any(is_same is False for _, is_same in files):
        return Standing(installed, "outdated", available=model, fetch=fetch)
    if any(is_same is None for _, is_same in files):
        why = "its server gives neither a digest nor an ETag to compare"
        return Standing(installed, "unknown", why, model)
    small = _changed_companions(installed, model)
    if small is not None:
        return Standing(installed, "outdated", "its template or another small file has changed", model, small)
    return Standing(installed, "current", available=model)


def _changed_companions(installed: InstalledModel, model: Model) -> int | None:
    """Bytes of the small files that a registry's manifest names and no receipt has; None if it is the one we kept."""
    kept = installed.to_load.receipt.kept
    if MANIFEST not in kept or kept[MANIFEST] == model.kept.get(MANIFEST, kept[MANIFEST]):
        return None
    return sum(each.size or 0 for each in model.companions if each.name not in kept)


def _compare_file(
    installed: InstalledModel, known: Receipt | None, artifact: Artifact, context: InstallContext
) -> tuple[Artifact, bool | None]:
    """The artifact with what its server says about it, and whether it is the installed file; None if unknown."""
    if known is None:
        return artifact, False
    validator, asked = None, artifact
    if not artifact.provable:
        remote = remote_of(artifact, context, f"{artifact.name} could not be looked up:")
        asked = replace(artifact, sha256=remote.sha256, size=artifact.size or remote.size)
        validator = remote.validator
    if not asked.may_be(known.sha256, known.size):
        return asked, False
    if asked.unread:
        look = target.look(staging_for(installed.folder, known.name), asked, context.token, _unheard, read_only=True)
        return asked, look.state != "newer"
    if asked.provable:
        return asked, True
    if validator and known.validator and known.url == distinct_address(artifact.urls[0]):
        return asked, validator == known.validator
    return asked, None


def _unheard(_done: int) -> None:
    """Small files alone are read here, so nobody waits for the progress."""
