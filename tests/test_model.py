"""What is known of a file is held against its content, kind by kind."""

from __future__ import annotations

import hashlib

import pytest

from luci_dl.model import Artifact, Content, Digest, lfs_pointer_sha1

A, B = "a1" * 32, "b2" * 32
POINTER, OTHER = {Digest.LFS_POINTER: lfs_pointer_sha1(A, 10)}, {Digest.LFS_POINTER: "0" * 40}
BLOB, OTHER_BLOB = {Digest.GIT_BLOB: "1" * 40}, {Digest.GIT_BLOB: "2" * 40}


def file(sha256: str | None = None, size: int | None = None, digests: dict[Digest, str] | None = None) -> Artifact:
    return Artifact("a.gguf", ("https://h/a.gguf",), size, sha256, digests or {})


@pytest.mark.parametrize(
    ("artifact", "sha256", "size", "expected"),
    [
        (file(), A, None, True),
        (file(A), A, None, True),
        (file(A), B, None, False),
        (file(A, 1), A, 2, False),
        (file(digests=POINTER), B, None, True),
        (file(size=10, digests=POINTER), A, None, True),
        (file(size=10, digests=POINTER), B, None, False),
        (file(digests=BLOB), A, 10, True),
        (file(A, digests=BLOB), B, 10, False),
    ],
)
def test_a_sha256_is_held_against_all_that_is_known(
    artifact: Artifact, sha256: str, size: int | None, expected: bool
) -> None:
    """The pointer proves only together with a size, and a SHA-256 says nothing of a git blob."""
    assert artifact.may_be(sha256, size) is expected


@pytest.mark.parametrize(
    ("artifact", "content", "mismatch"),
    [
        (file(), Content(A, 10), None),
        (file(A, 10, POINTER | BLOB), Content(A, 10, BLOB), None),
        (file(B, 10, POINTER | BLOB), Content(A, 10, BLOB), Digest.SHA256),
        (file(digests=OTHER), Content(A, 10), Digest.LFS_POINTER),
        (file(digests=POINTER), Content(A, 11), Digest.LFS_POINTER),
        (file(A, digests=BLOB), Content(A, 10, OTHER_BLOB), Digest.GIT_BLOB),
        (file(A, digests=BLOB), Content(A, 10), Digest.GIT_BLOB),
    ],
)
def test_content_must_have_every_known_digest(artifact: Artifact, content: Content, mismatch: Digest | None) -> None:
    """One that was not computed does not match either."""
    assert artifact.mismatch(content) is mismatch
    assert artifact.matches(content) is (mismatch is None)


def test_content_must_have_the_known_size() -> None:
    assert not file(A, 11).matches(Content(A, 10))


@pytest.mark.parametrize(
    ("artifact", "proof", "unread"),
    [
        (file(), "none", ()),
        (file(A, digests=BLOB), "sha256", (Digest.GIT_BLOB,)),
        (file(digests=POINTER | BLOB), "lfs pointer", (Digest.GIT_BLOB,)),
        (file(digests=BLOB), "git blob", (Digest.GIT_BLOB,)),
    ],
)
def test_the_strongest_digest_is_the_proof(artifact: Artifact, proof: str, unread: tuple[Digest, ...]) -> None:
    """And it is known which ones take another reading."""
    assert (artifact.proof, artifact.unread) == (proof, unread)
    assert artifact.provable is (proof != "none")


@pytest.mark.parametrize("digest", Digest)
def test_every_kind_is_derived_or_computed(digest: Digest) -> None:
    """Exactly one of both, and with as many digits as it says."""
    assert (digest.derive is None) is not (digest.start is None)
    value = digest.derive(A, 10) if digest.derive else ""
    if digest.start:
        hash_ = digest.start(10)
        hash_.update(b"0123456789")
        value = hash_.hexdigest()
    assert len(value) == digest.digits


def test_a_git_blob_is_hashed_with_its_header() -> None:
    """As `git hash-object` does."""
    assert Digest.GIT_BLOB.start is not None
    hash_ = Digest.GIT_BLOB.start(6)
    hash_.update(b"hello\n")
    assert hash_.hexdigest() == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert hashlib.sha1(b"blob 6\0hello\n").hexdigest() == hash_.hexdigest()
