"""Which installed models are no longer what their references name: by the digests of the files, not by dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from luci_dl.catalog import catalog
from luci_dl.config.settings import Settings
from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.frozen import frozen
from luci_dl.install.context import InstallContext
from luci_dl.install.inspect import remote_of
from luci_dl.install.servers import resolve_context, resolve_words
from luci_dl.library.installed import InstalledFile, InstalledModel
from luci_dl.model import Artifact, Model
from luci_dl.net.network import ASK_SERVERS
from luci_dl.plan import Remote
from luci_dl.pool import run_side_by_side
from luci_dl.sources.base import source_of
from luci_dl.sources.huggingface.reference import is_reference, parse
from luci_dl.sources.selection import FileSelection
from luci_dl.text import has_hidden_query, printable

State = Literal["current", "outdated", "gone", "unknown", "pinned"]
_SIDE_BY_SIDE = 8
_COMMIT = re.compile(r"[0-9a-f]{40}")


@frozen
class Standing:
    """How an installed model compares with what its reference names now.

    Attributes:
        reason: why it is gone, unknown or pinned; else empty.
        available: what the reference names now; None if that is not known.
        error: why a server could not be asked.
    """

    model: InstalledModel
    state: State
    reason: str = ""
    available: Model | None = None
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
    def fetch(self) -> int:
        """Bytes that an upgrade fetches, as far as the sizes are known."""
        if self.state != "outdated" or self.available is None:
            return 0
        there = {file.receipt.sha256 for file in self.model.files}
        return sum(each.size or 0 for each in self.available.artifacts if each.sha256 not in there)


def standings(models: Sequence[InstalledModel], settings: Settings, context: InstallContext) -> list[Standing]:
    """One for each model, in order. Servers are asked side by side. Raises: UsageError; Interrupted."""
    ask = _Asker(settings, context)
    return run_side_by_side(ask.standing, models, context.token, _SIDE_BY_SIDE)


class _Asker:
    def __init__(self, settings: Settings, context: InstallContext) -> None:
        self._settings = settings
        self._context = context
        self._endpoints = resolve_context(settings, context).endpoints
        self._catalog = catalog.load(settings.catalog)

    def standing(self, model: InstalledModel) -> Standing:
        """Raises: Interrupted."""
        asked = model.to_load.receipt.asked
        if asked is None:
            why = "it was installed by an older luci, which did not remember what was asked for"
            return Standing(model, "unknown", f"{why}; installing it again does")
        if has_hidden_query(model.reference):
            return Standing(model, "unknown", "its address had a query, which luci does not keep")
        if reason := self._pin(model):
            return Standing(model, "pinned", reason)
        try:
            available = self._available(model, FileSelection.from_asked(asked))
        except ResolveError as error:
            return Standing(model, "gone", error.message)
        except NetworkError as error:
            return Standing(model, "unknown", error.message, error=error)
        return self._compare(model, replace(available, asked=asked))

    def _pin(self, model: InstalledModel) -> str:
        """Why there can be no newer version; empty if there can."""
        first = model.to_load.receipt
        if first.asked and "sha256" in first.asked:
            return "its digest was given"
        if is_reference(model.reference, self._endpoints.hub):
            revision = parse(model.reference, self._endpoints.hub).revision
            return "its reference names a commit" if _COMMIT.fullmatch(revision) else ""
        is_address = source_of(model.reference, self._endpoints) and "://" in model.reference
        return "its digest was given" if is_address and first.proof == "sha256" else ""

    def _available(self, model: InstalledModel, selection: FileSelection) -> Model:
        """What the reference names now. Raises: ResolveError; NetworkError; UsageError; Interrupted."""
        if source_of(model.reference, self._endpoints) is None:
            if self._catalog.find(model.reference) is None:
                raise ResolveError("the catalog does not have it any more")
        elif self._context.network.offline:
            raise NetworkError(f"{printable(model.reference)} cannot be looked up offline", ASK_SERVERS)
        (found,) = resolve_words([model.reference], self._settings, selection, self._context)
        return found

    def _compare(self, model: InstalledModel, available: Model) -> Standing:
        """Raises: Interrupted."""
        files = {file.receipt.name: file for file in model.files}
        if {each.name for each in available.artifacts} != set(files):
            return Standing(model, "outdated", available=available)
        unsure = ""
        for artifact in available.artifacts:
            try:
                verdict = self._compare_file(files[artifact.name], artifact)
            except (NetworkError, ResolveError) as error:
                state: State = "gone" if isinstance(error, ResolveError) else "unknown"
                is_network = isinstance(error, NetworkError)
                return Standing(model, state, error.message, error=error if is_network else None)
            if verdict == "newer":
                return Standing(model, "outdated", available=available)
            unsure = unsure or verdict
        return Standing(model, "unknown" if unsure else "current", unsure, available)

    def _compare_file(self, file: InstalledFile, artifact: Artifact) -> str:
        """Empty if it is the same file, "newer", or why that cannot be told. Raises: NetworkError; ResolveError."""
        known = file.receipt
        if artifact.provable:
            return "" if artifact.may_be(known.sha256, known.size) else "newer"
        if self._context.network.offline:
            raise NetworkError(f"{printable(artifact.name)} cannot be compared offline", ASK_SERVERS)
        remote = remote_of(artifact, self._context, f"{artifact.name} could not be compared:")
        return _by_remote(file, remote)


def _by_remote(file: InstalledFile, remote: Remote) -> str:
    """The same, by what a server says about the file."""
    known = file.receipt
    if remote.sha256:
        return "" if remote.sha256 == known.sha256 else "newer"
    if remote.size is not None and remote.size != known.size:
        return "newer"
    if known.validator and remote.validator:
        return "" if remote.validator == known.validator else "newer"
    return "its server says nothing by which two versions of a file could be told apart"
