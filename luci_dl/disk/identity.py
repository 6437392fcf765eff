"""Which bytes a part holds: what was promised, what the servers say, and whether the two go together."""

from __future__ import annotations

from dataclasses import replace

from luci_dl.artifact import Artifact
from luci_dl.disk.journal import Header
from luci_dl.errors import IntegrityError
from luci_dl.plan import Remote, kind_of

MAGIC = b"GGUF"


def promised(artifact: Artifact) -> Header:
    """What is known of the bytes before any server was asked."""
    return Header(artifact.name, artifact.size, artifact.sha256, artifact.lfs_pointer_sha1)


def fits(header: Header, artifact: Artifact) -> bool:
    """Whether bytes kept under that header can be gone on with: a digest will prove them, or a validator will."""
    ours = promised(artifact)
    same = (header.name, header.lfs_pointer_sha1) == (ours.name, ours.lfs_pointer_sha1)
    if not same or ours.size not in (None, header.size) or ours.sha256 not in (None, header.sha256):
        return False
    return bool(header.sha256 or header.lfs_pointer_sha1 or set(header.validators) & set(artifact.urls))


def learn(known: Header, remote: Remote) -> Header:
    """What is known after that answer."""
    validators = {**known.validators, remote.url: remote.validator} if remote.validator else known.validators
    size = remote.size if known.size is None else known.size
    return replace(known, size=size, sha256=known.sha256 or remote.sha256, validators=validators)


def differs(known: Header, remote: Remote) -> bool:
    """Whether the answer speaks of other bytes than those that are there."""
    pairs = (
        (known.size, remote.size),
        (known.sha256, remote.sha256),
        (known.validators.get(remote.url), remote.validator),
    )
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def check_promise(artifact: Artifact, remote: Remote) -> None:
    """What the catalog or the user promised is not negotiable; better to learn it before 40 GB than after.

    Raises: IntegrityError, when the server says that it has other bytes.
    """
    pairs = (("size", artifact.size, remote.size), ("SHA-256", artifact.sha256, remote.sha256))
    for what, expected, found in pairs:
        if None not in (expected, found) and expected != found:
            raise IntegrityError(
                f"the server has another file than {artifact.name}: expected {what} {expected}, found {found}",
                "It was replaced there, or the address is wrong; nothing was installed.",
            )


def check_beginning(artifact: Artifact, offset: int, data: bytes) -> None:
    """Raises: IntegrityError, when `data`, at `offset`, shows that the file is of another kind than its name says."""
    if kind_of(artifact.name) == "gguf" and not MAGIC[offset:].startswith(data[: max(0, len(MAGIC) - offset)]):
        raise IntegrityError(
            f"{artifact.name} is not a GGUF file: it begins with {data[:16]!r}, expected {MAGIC!r}",
            "The address may lead to a web page or to another kind of file.",
        )


def check_size(artifact: Artifact, size: int) -> None:
    """Raises: IntegrityError, when a file of that size is too small for the kind that its name says."""
    if kind_of(artifact.name) == "gguf" and size < len(MAGIC):
        raise IntegrityError(
            f"{artifact.name} is not a GGUF file: it has only {size} bytes", "The address may lead to something else."
        )


def check_digest(artifact: Artifact, known: Header, sha256: str, size: int) -> None:
    """Raises: IntegrityError, when the whole has another digest than the one expected."""
    wanted = replace(artifact, sha256=known.sha256, size=known.size)
    if not wanted.proves(sha256, size):
        expected = f"SHA-256 {wanted.sha256}" if wanted.sha256 else f"LFS pointer {wanted.lfs_pointer_sha1}"
        raise IntegrityError(
            f"the bytes of {artifact.name} are wrong: expected {expected}, found SHA-256 {sha256}",
            "The server, or something on the way, gave other bytes; nothing was installed. Try again later, or get the "
            "file from another address.",
        )
