"""Decides what must be done about each file of a model, by what is at its target.

This is the only place that decides it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from luci_dl.cancel import run_cancellable
from luci_dl.disk import fs, target
from luci_dl.disk.layout import Layout, Staging
from luci_dl.disk.place import Places
from luci_dl.disk.target import Found
from luci_dl.errors import IntegrityError, Interrupted, LuciError, NetworkError
from luci_dl.events import Hashing, Warned
from luci_dl.frozen import frozen
from luci_dl.install.actions import Action, Adopt, Copy, Fetch, Keep, Mend, Refuse
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import LocalCopy
from luci_dl.model import Artifact
from luci_dl.plan import Options, Remote
from luci_dl.text import printable

T = TypeVar("T")


@frozen
class Inspector:
    """Inspects the targets of one model.

    Args:
        look: compares the file at an artifact's target with the artifact.
        ask_sizes: ask servers for the unknown sizes and digests of files to fetch.
    """

    folder: Path
    context: InstallContext
    look: Callable[[Artifact], Found]
    ask_sizes: bool = False

    def actions(self, artifacts: Sequence[Artifact]) -> list[Action]:
        """One for each artifact; a `Refuse` stands alone. Raises: Interrupted."""
        actions: list[Action] = []
        decided, layout, places = self.decide(artifacts), Layout(self.folder), Places()
        copies = self._find_copies([artifact for artifact, each in decided.items() if isinstance(each, Found)])
        for artifact, each in decided.items():
            action = (
                self._or_refuse(partial(self._obtain, each, copies[artifact], layout, places), artifact)
                if isinstance(each, Found)
                else each
            )
            if isinstance(action, Refuse):
                return [action]
            actions.append(action)
        return actions

    def decide(self, artifacts: Sequence[Artifact]) -> dict[Artifact, Action | Found]:
        """The same, but what is there now for a file that must be fetched or copied. Raises: Interrupted."""
        found: dict[Artifact, Found] = {}
        for artifact in artifacts:
            compared = self._or_refuse(self._compare, artifact)
            if isinstance(compared, Refuse):
                return {artifact: compared}
            found.update([compared])
        decided = _decide(found, self.folder, self.context.options)
        return {artifact: each for artifact, each in decided.items() if isinstance(each, Refuse)} or decided

    def _or_refuse(self, work: Callable[[Artifact], T], artifact: Artifact) -> T | Refuse:
        try:
            return work(artifact)
        except Interrupted:
            raise
        except LuciError as error:
            return Refuse(artifact, self.folder / artifact.name, error)

    def _compare(self, artifact: Artifact) -> tuple[Artifact, Found]:
        """Raises: NetworkError, if a file without receipt cannot be checked without its server; StorageError."""
        found = self.look(artifact)
        if found.state != "foreign" or found.receipt or artifact.provable or self.context.options.force:
            return artifact, found
        why = f"{artifact.name} is there, but luci did not install it, and its digest could not be looked up:"
        known = ask_server(artifact, self.context, why)
        return known, self.look(known) if known.provable else found

    def _obtain(
        self, found: Found, copies: tuple[LocalCopy, ...], layout: Layout, places: Places, artifact: Artifact
    ) -> Fetch:
        """Raises: CannotHold, if the file could not be put at its target; StorageError; NetworkError."""
        staging = layout.staging(artifact.name)
        places.check(staging, artifact.size)
        if copies:
            fetch = _fetch(staging, replace(artifact, size=copies[0].size), self.context.options)
            return Copy(artifact, staging.target, fetch.needs, fetch.resumed, fetch.begun, copies=copies)
        if receipt := target.to_mend(found, artifact):
            artifact = replace(artifact, size=receipt.size)
            fetch = _fetch(staging, artifact, self.context.options)
            return Mend(artifact, staging.target, fetch.needs, fetch.resumed, fetch.begun, receipt=receipt)
        fetch = _fetch(staging, artifact, self.context.options)
        is_known = artifact.provable and artifact.size is not None
        if not self.ask_sizes or (is_known and (not self.context.network.offline or fetch.resumed == artifact.size)):
            return fetch
        known = ask_server(artifact, self.context, f"the size of {artifact.name} could not be looked up:")
        return _fetch(staging, known, self.context.options)

    def _find_copies(self, artifacts: Sequence[Artifact]) -> dict[Artifact, tuple[LocalCopy, ...]]:
        """Those that a digest could prove."""
        find, folder = self.context.copies.find, self.folder
        found = run_cancellable(
            lambda: {artifact: tuple(find(artifact, folder / artifact.name)) for artifact in artifacts},
            self.context.token,
        )
        for artifact, copies in found.items():
            if copies and not artifact.provable:
                why = "because no digest is known to verify it with (give one with --sha256)"
                self.context.emit(Warned(f"{copies[0].path} is not used for {artifact.name}, {why}"))
                found[artifact] = ()
        return found


def quick_inspect(folder: Path, artifacts: Sequence[Artifact], options: Options) -> list[Action]:
    """One action for each artifact by names, sizes and receipts: no file is read, and no server asked.

    A file without receipt counts as right. Raises: StorageError; UsageError.
    """
    layout = Layout(folder)
    stagings = {artifact: layout.staging(artifact.name) for artifact in artifacts}
    found = {artifact: target.quick_look(staging, artifact) for artifact, staging in stagings.items()}
    decided = _decide(found, folder, options)
    return [
        _fetch(stagings[artifact], artifact, options) if isinstance(each, Found) else each
        for artifact, each in decided.items()
    ]


def read_only_look(folder: Path, context: InstallContext) -> Callable[[Artifact], Found]:
    """The `Inspector.look` of those who have no lock."""

    layout = Layout(folder)

    def look(artifact: Artifact) -> Found:
        def hashed(done: int) -> None:
            context.emit(Hashing(artifact.name, done, max(done, artifact.size or done)))

        return target.look(layout.staging(artifact.name), artifact, context.token, hashed, read_only=True)

    return look


def _decide(found: Mapping[Artifact, Found], folder: Path, options: Options) -> dict[Artifact, Action | Found]:
    """What is done about each file; what is there now where it must be fetched or copied."""
    replaced = {"missing", "damaged", *(("foreign", "unproved") if options.force else ())}
    anew = options.force or options.upgrade
    if anew or any(here.state in replaced for here in found.values()):
        replaced |= {"newer", "elsewhere"}  # files of two versions do not make a model
    return {
        artifact: here
        if here.state in replaced
        or (anew and not artifact.provable and here.receipt)
        or (options.force and not artifact.provable)
        else _left(artifact, folder / artifact.name, here)
        for artifact, here in found.items()
    }


def _left(artifact: Artifact, path: Path, found: Found) -> Action:
    """The file is not replaced."""
    if found.state == "foreign":
        return Refuse(artifact, path, _in_the_way(path, artifact, found))
    kind = Keep if found.state in ("installed", "newer", "elsewhere") else Adopt
    return kind(artifact, path, found)


def _in_the_way(path: Path, artifact: Artifact, found: Found) -> IntegrityError:
    if found.receipt:
        other = printable(found.receipt.reference)
        return IntegrityError(
            f"{path} exists as {found.receipt.name} of {other}: to this file system both names are the same",
            f"Install into another folder with --dir, or remove the other first: luci remove {other}",
        )
    if found.sha256 and artifact.sha256:
        wrong = f"its SHA-256 is {found.sha256}, expected {artifact.sha256}"
    elif found.sha256:
        wrong = "it is not the expected file"
    else:
        wrong = _problem(path) or "no digest is known to verify it with"
    message = f"{path} exists, luci did not install it, and {wrong}"
    return IntegrityError(message, "Move it away, or replace it with --force.")


def _problem(path: Path) -> str:
    """Why the file there cannot be what its name says; empty if it can."""
    from luci_dl.disk import identity  # knows the formats of all files

    try:
        identity.check_contents(path, path.name)
    except LuciError as error:
        return error.message
    return ""


def _fetch(staging: Staging, artifact: Artifact, options: Options) -> Fetch:
    """Raises: StorageError."""
    kept = fs.blocks_of(staging.part)
    needs = max(0, (artifact.size or 0) - (kept or 0))
    begun = kept is not None or os.path.lexists(staging.receipt)
    resumed = _resumed(staging, artifact) if kept is not None and options.resume else 0
    return Fetch(artifact, staging.target, needs, resumed, begun)


def _resumed(staging: Staging, artifact: Artifact) -> int:
    """Bytes of a kept part, according to its journal."""
    from luci_dl.disk import identity, journal  # slow to load

    log = journal.read(staging.journal)
    if not (log and fs.is_own(staging.part) and identity.fits(log.header, artifact)):
        return 0
    return log.proved


def ask_server(artifact: Artifact, context: InstallContext, why: str) -> Artifact:
    """The artifact with the size and, if the server is the Hub, the digest that its server reports.

    `why`: comes before the reason in the message of an error. Raises: NetworkError; ResolveError; Interrupted.
    """
    reported = remote_of(artifact, context, why)
    return replace(artifact, sha256=artifact.sha256 or reported.sha256, size=artifact.size or reported.size)


def remote_of(artifact: Artifact, context: InstallContext, why: str) -> Remote:
    """What its server says about the file. Arguments and errors as of `ask_server`."""
    from luci_dl.net.documents import ask_about
    from luci_dl.net.retry import AttemptFailed

    client = context.network.client_for(artifact.urls[0])
    try:
        return run_cancellable(lambda: ask_about(client, artifact), context.token)
    except AttemptFailed as failure:
        raise NetworkError(f"{why} {failure.reason}", "Try again later.") from failure
