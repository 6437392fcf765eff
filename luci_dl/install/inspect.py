"""What stands at the targets of a model already, and what has to be fetched because of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk.target import Found
from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.text import printable

_FETCHED = {"missing", "damaged", "foreign"}


@dataclass(frozen=True)
class Standing:
    """What stands at one target. `artifact`: with the digest that its server told, where that had to be asked."""

    artifact: Artifact
    found: Found


@dataclass(frozen=True)
class Judge:
    """Judges files that stand at targets.

    Args:
        look: compares the file at the artifact's target with the artifact.
        force: files that luci did not install may be replaced.
    """

    folder: Path
    look: Callable[[Artifact], Found]
    force: bool
    network: Network
    token: CancelToken

    def judge(self, artifact: Artifact) -> Standing:
        """Raises: IntegrityError, when a file that luci did not install is in the way; NetworkError; StorageError."""
        found = self.look(artifact)
        if found.state != "foreign" or self.force:
            return Standing(artifact, found)
        if not artifact.provable and not found.receipt:
            why = f"{artifact.name} is there, and luci did not install it; to judge it,"
            artifact = ask_server(artifact, self.network, self.token, why)
            found = self.look(artifact) if artifact.provable else found
        if found.state == "foreign":
            raise _in_the_way(self.folder / artifact.name, artifact, found)
        return Standing(artifact, found)


def to_fetch(found: Mapping[Artifact, Found], force: bool) -> tuple[list[Artifact], str]:
    """The files that have to be fetched, and how the model counts as installed once they are there."""
    states = {here.state for here in found.values()}
    fetched = set(_FETCHED)
    if states & fetched or force:
        fetched.add("newer")  # files of two versions do not make a model
    missing = [
        artifact for artifact, here in found.items() if here.state in fetched or (force and not artifact.provable)
    ]
    if missing:
        return missing, "downloaded"
    if "newer" in states:
        return [], "newer"
    return [], "adopted" if "adoptable" in states else "already"


def ask_server(artifact: Artifact, network: Network, token: CancelToken, why: str) -> Artifact:
    """The artifact with what its server tells of it: the size, and the digest if it is the Hub.

    `why`: goes before the reason, when the server does not answer. Raises: NetworkError; ResolveError; Interrupted.
    """
    from luci_dl.net.response import RangeRequest
    from luci_dl.net.retry import AttemptFailed

    ask, client = RangeRequest(artifact.urls[0], 0, None, None), network.client_for(artifact.urls[0])
    try:
        answer = run_cancellable(lambda: client.get(artifact.name, ask, artifact.headers, artifact.repository), token)
    except AttemptFailed as failure:
        raise NetworkError(f"{why} {failure.reason}", "Try again later.") from failure
    answer.close()
    told = answer.remote
    return replace(artifact, sha256=artifact.sha256 or told.sha256, size=artifact.size or told.size)


def _in_the_way(path: Path, artifact: Artifact, found: Found) -> IntegrityError:
    if found.receipt:
        other = printable(found.receipt.reference)
        return IntegrityError(
            f"{path} is there as {found.receipt.name}, which belongs to {other}: this file system takes both for one",
            f"Install into another folder with --dir, or remove that first: luci remove {other}",
        )
    if found.sha256 and artifact.sha256:
        wrong = f"its SHA-256 is {found.sha256}, expected {artifact.sha256}"
    elif found.sha256:
        wrong = "it is not the file that is named"
    else:
        wrong = "no digest is known to hold it against"
    return IntegrityError(
        f"{path} is there, luci did not install it, and {wrong}", "Move it away, or replace it with --force."
    )
