"""Which bytes a part has: what is expected of them, what the servers say, and whether the two fit together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.journal import Header
from luci_dl.errors import IntegrityError
from luci_dl.model import Artifact, Content
from luci_dl.plan import Remote
from luci_dl.text import public_address


def promised(artifact: Artifact) -> Header:
    """What is known of the bytes before a server is asked."""
    return Header(artifact.name, artifact.size, artifact.sha256, artifact.digests)


def fits(header: Header, artifact: Artifact) -> bool:
    """Whether a part with that header can be resumed: a digest will prove its bytes, or a validator will."""
    ours = promised(artifact)
    if (header.name, header.digests) != (ours.name, ours.digests):
        return False
    if ours.size not in (None, header.size) or ours.sha256 not in (None, header.sha256):
        return False
    return header.provable or any(map(header.validator, artifact.urls))


def learn(known: Header, remote: Remote) -> Header:
    """What is known after that response."""
    latest = {public_address(remote.url): remote.validator} if remote.validator else {}
    size = remote.size if known.size is None else known.size
    return replace(known, size=size, sha256=known.sha256 or remote.sha256, validators={**known.validators, **latest})


def differs(known: Header, remote: Remote) -> bool:
    """Whether the response is about other bytes than the part has."""
    pairs = ((known.size, remote.size), (known.sha256, remote.sha256))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return True
    return not known.provable and is_other_version(known, remote)  # the edges of a server may differ in their ETags


def is_other_version(known: Header, remote: Remote) -> bool:
    """Whether the same address has another validator than before."""
    pair = known.validator(remote.url), remote.validator
    return None not in pair and pair[0] != pair[1]


def check_promise(artifact: Artifact, remote: Remote) -> None:
    """Compare a response with what the catalog or the user expects, before the first byte.

    Raises: IntegrityError, when the server has other bytes.
    """
    pairs = (("size", artifact.size, remote.size), ("SHA-256", artifact.sha256, remote.sha256))
    for what, expected, found in pairs:
        if None not in (expected, found) and expected != found:
            raise IntegrityError(
                f"the server has another file than {artifact.name}: expected {what} {expected}, found {found}",
                "The file was replaced on the server, or the address is wrong. Nothing was installed.",
            )


def check_digest(artifact: Artifact, known: Header, content: Content) -> None:
    """Raises: IntegrityError, when the whole file does not have an expected digest."""
    wanted = artifact if artifact.sha256 == known.sha256 else replace(artifact, sha256=known.sha256)
    if digest := wanted.mismatch(content):
        raise IntegrityError(
            f"the bytes of {artifact.name} are wrong: expected {digest.label} {wanted.expected(digest)}, "
            f"found {digest.label} {content.found(digest)}",
            "The server, or a proxy on the way, sent other bytes; nothing was installed. Try again later, or use "
            "another address.",
        )


def check_contents(path: Path, name: str) -> None:
    """Check that the file at `path` is what `name` says, and whole, as far as that shows without a digest.

    Raises: OtherFile; IntegrityError; StorageError.
    """
    from luci_dl.formats.check import check_whole  # with the parsers of all formats

    file = fs.open_to_read(path)
    check_whole(name, partial(fs.read_at, file), file.size)
