"""What there is to have: an artifact is one file, a model is the artifacts that belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Proof = Literal["sha256", "lfs pointer", "git blob", "none"]


@dataclass(frozen=True)
class Artifact:
    """One file to have.

    Attributes:
        name: path of the target below the models folder, with "/" between its parts.
        urls: where the file is, best first; at least one.
        size: bytes, if known.
        sha256: 64 lower-case hex digits, if known.
        lfs_pointer_sha1: git blob SHA-1 of the file's LFS pointer, 40 hex digits: proves a file of unknown SHA-256.
        blob_sha1: git blob SHA-1 of the file itself, 40 hex digits: proves a small file of unknown SHA-256.
        headers: sent to the host of the first address alone, never to where it redirects.
        repository: for a file in a registry, which may ask for a token first: how the addresses of all files beside it
            begin; empty elsewhere.
        role: "model", or "projector" for the file beside a vision model.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    lfs_pointer_sha1: str | None = None
    blob_sha1: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    repository: str = ""
    role: str = "model"

    @property
    def proof(self) -> Proof:
        """The best of what is known to hold the bytes against."""
        if self.sha256:
            return "sha256"
        if self.lfs_pointer_sha1:
            return "lfs pointer"
        return "git blob" if self.blob_sha1 else "none"

    @property
    def provable(self) -> bool:
        """True when a digest is known against which the bytes can be proved."""
        return self.proof != "none"

    def proves(self, sha256: str, size: int, blob_sha1: str | None = None) -> bool:
        """True when bytes of these digests and that size are this artifact's, by all that is known of it.

        `blob_sha1`: of the bytes; needed where the artifact's own is known.
        """
        return (
            self.size in (None, size)
            and self.sha256 in (None, sha256)
            and self.lfs_pointer_sha1 in (None, lfs_pointer_sha1(sha256, size))
            and self.blob_sha1 in (None, blob_sha1)
        )


@dataclass(frozen=True)
class Model:
    """What one reference stands for: artifacts that are installed all or none.

    Attributes:
        reference: what identifies it to the user: a catalog name, or the address as typed (without credentials).
        artifacts: at least one; the first is the one that a loader is given.
        license: None where it is not known.
    """

    reference: str
    artifacts: tuple[Artifact, ...]
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tier: int | None = None
    license: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all files together; None when one of them is unknown."""
        sizes = [artifact.size for artifact in self.artifacts]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def lfs_pointer_sha1(sha256: str, size: int) -> str:
    """The git blob SHA-1 of the Git LFS pointer that names a file of this SHA-256 and size.

    Source: the pointer's form in the Git LFS specification, and git's blob header.
    """
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return hashlib.sha1(b"blob %d\0%b" % (len(pointer), pointer), usedforsecurity=False).hexdigest()
