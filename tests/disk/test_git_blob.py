"""Files that are not LFS are proved by the SHA-1 that git has of them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt, target
from luci_dl.disk.layout import staging_for
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError
from luci_dl.model import Artifact, Digest
from tests.disk.hands import OPTIONS, assert_ends, digest_of, kill_after, opened, part_at, pour, url_of
from tests.disk.steps import DATA, WRONG
from tests.procs import files_left

NAME = "OWNER/REPO/config.json"


def blob(data: bytes = DATA, size: int | None = len(DATA)) -> Artifact:
    """The Hub gives its size and git SHA-1, and no SHA-256."""
    sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return Artifact(NAME, (url_of(NAME),), size, digests={Digest.GIT_BLOB: sha1})


def fill(folder: Path, artifact: Artifact, data: bytes) -> None:
    with Transaction(folder, [artifact], options=OPTIONS) as transaction:
        transaction.look(artifact)
        transaction.fill(artifact, [data])
        transaction.commit()


def look(folder: Path, artifact: Artifact) -> Found:
    return target.look(staging_for(folder, NAME), artifact, CancelToken(), lambda _done: None)


def test_git_says_the_same() -> None:
    """What `git hash-object` prints for a file with these bytes."""
    artifact = Artifact("f", ("https://h/f",), digests={Digest.GIT_BLOB: "ce013625030ba8dba906f756967f9e9ca394464a"})
    assert replace(blob(b"hello\n", None), name="f", urls=artifact.urls) == artifact


@pytest.mark.parametrize("artifact", [blob(), blob(size=None)])
def test_the_right_bytes_are_installed(tmp_path: Path, artifact: Artifact) -> None:
    """The receipt says how they were proved."""
    fill(tmp_path, artifact, DATA)
    known = receipt.read(staging_for(tmp_path, NAME).receipt)
    assert known
    assert (known.proof, known.sha256) == ("git blob", digest_of(DATA))


def test_wrong_bytes_of_the_right_size_never_reach_the_target(tmp_path: Path) -> None:
    """The message has both digests; nothing is left."""
    ended = assert_ends(tmp_path, IntegrityError, lambda: fill(tmp_path, blob(), WRONG), [])
    assert f"expected git blob SHA-1 {blob().best_hex}, found git blob SHA-1 {blob(WRONG).best_hex}" in ended.message
    assert not (tmp_path / NAME).exists()


def test_a_digest_that_the_hub_sends_beside_it_does_not_replace_it(tmp_path: Path) -> None:
    """A mirror may tell the SHA-256 of whatever it sends."""
    sent = replace(blob(), sha256=digest_of(WRONG))
    assert_ends(tmp_path, IntegrityError, lambda: fill(tmp_path, sent, WRONG), [])


def test_a_file_without_receipt_is_adopted_only_if_it_is_right(tmp_path: Path) -> None:
    """Of two that have the right size."""
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).write_bytes(WRONG)
    assert look(tmp_path, blob()).state == "foreign"
    (tmp_path / NAME).write_bytes(DATA)
    assert look(tmp_path, blob()).state == "adoptable"


def test_an_installed_file_is_compared_with_the_digest_that_is_named_now(tmp_path: Path) -> None:
    """No receipt has the SHA-1, so the file is hashed."""
    fill(tmp_path, blob(), DATA)
    assert look(tmp_path, blob()).state == "installed"
    assert look(tmp_path, blob(size=None)).state == "installed"
    assert look(tmp_path, blob(WRONG)).state == "newer"
    assert look(tmp_path, blob(WRONG, size=5)).state == "newer"


def test_a_kept_part_is_resumed_only_for_the_same_blob(tmp_path: Path) -> None:
    """The digest of the blob verifies it, without any validator."""
    kill_after(tmp_path, DATA, 4096, NAME, blob())
    assert opened(part_at(tmp_path, blob(WRONG))) == 0
    kill_after(tmp_path, DATA, 4096, NAME, blob())
    part = part_at(tmp_path, blob())
    assert opened(part) == 4096
    pour(part, DATA)
    assert part.verify(CancelToken()) == digest_of(DATA)
    part.remove()
    assert not [name for name in files_left(tmp_path) if os.fsdecode(name).endswith((".part", ".journal"))]
