"""What can be installed: an artifact is one file, a model is the artifacts that belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any, Literal, Protocol

from luci_dl.frozen import frozen
from luci_dl.text import distinct_address


def lfs_pointer_sha1(sha256: str, size: int) -> str:
    """The git blob SHA-1 of the Git LFS pointer to a file with this SHA-256 and size.

    Source: the format of pointers in the Git LFS specification, and git's blob header.
    """
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    blob = _git_blob(len(pointer))
    blob.update(pointer)
    return blob.hexdigest()


class Hash(Protocol):
    """An incremental hash, as in hashlib."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def _git_blob(size: int) -> Hash:
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


class Digest(Enum):
    """The kinds of digests that can prove a file, the strongest first.

    A new kind is one line here, and the source that provides it: journals, locks, catalogs, dry runs and receipts take
    every kind.

    Attributes:
        key: its name in catalogs, journals and JSON.
        proof: its name in receipts and events.
        label: its name in messages.
        digits: its length in hex digits.
        derive: computes it from the SHA-256 and the size of a file; None if that is impossible.
        start: starts computing it from the content of a file of the given size; None where `derive` is enough.
    """

    SHA256 = "sha256", "sha256", "SHA-256", 64, lambda sha256, _size: sha256, None
    LFS_POINTER = "lfs_pointer_sha1", "lfs pointer", "Git LFS pointer", 40, lfs_pointer_sha1, None
    GIT_BLOB = "blob_sha1", "git blob", "git blob SHA-1", 40, None, _git_blob

    def __init__(
        self,
        key: str,
        proof: str,
        label: str,
        digits: int,
        derive: Callable[[str, int], str] | None,
        start: Callable[[int], Hash] | None,
    ) -> None:
        self.key = key
        self.proof = proof
        self.label = label
        self.digits = digits
        self.derive = derive
        self.start = start

    def of(self, data: bytes) -> str:
        """The digest of these bytes, in hex digits, for a kind that the SHA-256 does not give."""
        if self.start is None:
            raise TypeError(f"{self.label} is derived from the SHA-256")
        running = self.start(len(data))
        running.update(data)
        return running.hexdigest()


@frozen
class Content:
    """What is known of the bytes of a file.

    Attributes:
        digests: those that cannot be derived from the SHA-256.
    """

    sha256: str
    size: int
    digests: Mapping[Digest, str] = field(default_factory=dict)

    def found(self, digest: Digest) -> str | None:
        """The digest of that kind; None if it is unknown."""
        return digest.derive(self.sha256, self.size) if digest.derive else self.digests.get(digest)


Access = Literal["public", "gated", "unknown"]
"""Who gets a file from its server: everybody, some accounts only; or that is not known."""


@frozen
class Artifact:
    """One file to install.

    Attributes:
        name: path of the target below the models folder, with "/" between its parts.
        urls: where the file is, best first; at least one. They may contain secrets: see `public_urls`.
        size: bytes, if known.
        sha256: 64 lower-case hex digits, if known.
        digests: further known digests, by kind, in lower-case hex digits.
        headers: sent only to the host of the first address, not to where it redirects.
        repository: for a file in a registry, which may require a token first: the prefix of the addresses of all files
            that the token is valid for; else empty.
        role: "model", or "projector" for the file beside a vision model, or "companion": see `Model`.
        access: who may have it, as its server says.
    """

    name: str
    urls: tuple[str, ...] = field(repr=False)
    size: int | None = None
    sha256: str | None = None
    digests: Mapping[Digest, str] = field(default_factory=dict, hash=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    repository: str = ""
    role: str = "model"
    access: Access = "unknown"

    @property
    def public_urls(self) -> tuple[str, ...]:
        """The addresses as everyone may see them."""
        return tuple(map(distinct_address, self.urls))

    def expected(self, digest: Digest) -> str | None:
        """The digest of that kind; None if it is unknown."""
        return self.sha256 if digest is Digest.SHA256 else self.digests.get(digest)

    @property
    def best_digest(self) -> Digest | None:
        """The strongest kind of which a digest is known."""
        return next((digest for digest in Digest if self.expected(digest)), None)

    @property
    def proof(self) -> str:
        """How the file can be proved, as receipts name it; "none" without a digest."""
        return self.best_digest.proof if self.best_digest else "none"

    @property
    def best_hex(self) -> str:
        """The digest of that kind; empty without one."""
        return (self.best_digest and self.expected(self.best_digest)) or ""

    @property
    def provable(self) -> bool:
        """True if a digest is known."""
        return self.best_digest is not None

    @property
    def unread(self) -> tuple[Digest, ...]:
        """The known kinds that can only be checked by reading the file."""
        return tuple(digest for digest in Digest if digest.start and self.expected(digest))

    def mismatch(self, content: Content) -> Digest | None:
        """The first known digest that the content does not have; None if it has all."""
        pairs = ((digest, self.expected(digest)) for digest in Digest)
        return next((digest for digest, hex_ in pairs if hex_ and content.found(digest) != hex_), None)

    def matches(self, content: Content) -> bool:
        """True if the content has the known size and all known digests."""
        return self.size in (None, content.size) and self.mismatch(content) is None

    def may_be(self, sha256: str, size: int | None = None) -> bool:
        """False if a file with that SHA-256, and that size if it is known, contradicts what is known of this one."""
        size = self.size if size is None else size
        if size is None:
            return self.sha256 in (None, sha256)
        content = Content(sha256, size)
        pairs = [(self.expected(digest), content.found(digest)) for digest in Digest]
        return self.size in (None, size) and all(None in pair or pair[0] == pair[1] for pair in pairs)


MANIFEST = "manifest"
"""What `Model.kept` calls the manifest of a model in a registry."""
MAX_KEPT = 4 << 20
"""Size limit of all that is kept with a model, in bytes."""
MAX_COMPANION = 1 << 20
"""Size limit of each small file that is kept with a model, in bytes."""


@frozen
class Model:
    """What one reference means: artifacts that are installed all or none.

    Attributes:
        reference: a catalog name, or a reference in its canonical form.
        artifacts: at least one; the first is the one to load.
        license: None if unknown.
        family: the series that it belongs to, like "qwen"; empty for what is not in a catalog.
        in_all: `luci install all models` includes it.
        asked: what the user asked for beside the reference, for receipts: see `FileSelection.asked`.
        kept: small files that belong to the model and are kept in its receipt: their digest, or MANIFEST, and their
            bytes in base64.
        companions: those of them that are still to be fetched. Their name is the digest.
    """

    reference: str
    artifacts: tuple[Artifact, ...]
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tier: int | None = None
    license: str | None = None
    family: str = ""
    in_all: bool = True
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kept: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    companions: tuple[Artifact, ...] = ()

    def is_whole(self, kept: Mapping[str, str]) -> bool:
        """Whether these small files, as a receipt keeps them, are all that belong to the model, and its manifest."""
        return kept.items() >= self.kept.items() and all(each.name in kept for each in self.companions)

    @property
    def size(self) -> int | None:
        """Bytes of all files together; None if the size of one is unknown."""
        sizes = [artifact.size for artifact in self.artifacts]
        return None if None in sizes else sum(size for size in sizes if size is not None)
