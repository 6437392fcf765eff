"""What is at the target already: the whole table."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import hashing, receipt, target
from luci_dl.disk.layout import Staging, staging_for
from luci_dl.disk.target import Found
from luci_dl.errors import StorageError
from luci_dl.model import Artifact, Digest, lfs_pointer_sha1
from tests.disk.hands import KIB, NAME, artifact_of, digest_of, gguf, install, unproved, url_of, xxh3_of

DATA = gguf(8 * KIB)
WRONG = gguf(8 * KIB, seed=1)
POINTER = Artifact(NAME, (url_of(),), None, None, {Digest.LFS_POINTER: lfs_pointer_sha1(digest_of(DATA), len(DATA))})


def look(folder: Path, artifact: Artifact) -> Found:
    return target.look(staging_for(folder, NAME), artifact, CancelToken(), lambda _done: None)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every read of the file fail: 40 GB would take a minute."""

    def fail(*_: object) -> None:
        raise AssertionError("the file was read")

    monkeypatch.setattr(target, "hash_file", fail)


@pytest.fixture
def there(tmp_path: Path) -> Staging:
    """A file that luci installed."""
    install(tmp_path, (DATA, NAME))
    return staging_for(tmp_path, NAME)


def change(staging: Staging, data: bytes) -> None:
    """Other bytes, another mtime."""
    staging.target.write_bytes(data)
    os.utime(staging.target, (1, 1))


def test_nothing_is_there(tmp_path: Path) -> None:
    """Neither file nor receipt; or a receipt whose file is gone."""
    assert look(tmp_path, artifact_of(DATA)).state == "missing"
    install(tmp_path, (DATA, NAME))
    (tmp_path / NAME).unlink()
    assert look(tmp_path, artifact_of(DATA)).state == "missing"


@pytest.mark.usefixtures("unread")
def test_receipt_size_and_mtime_agree(there: Staging) -> None:
    """Installed, said without reading a byte of it, also where no digest was asked for."""
    for artifact in (artifact_of(DATA), POINTER):
        found = look(there.folder, artifact)
        assert (found.state, found.sha256, found.size) == ("installed", digest_of(DATA), len(DATA))


@pytest.mark.usefixtures("unread")
def test_the_reference_names_other_bytes_by_now(there: Staging) -> None:
    """By digest or by size; another address proves nothing."""
    assert look(there.folder, artifact_of(WRONG)).state == "newer"
    assert look(there.folder, unproved(size=5)).state == "newer"
    assert look(there.folder, unproved()).state == "installed"
    assert look(there.folder, Artifact(NAME, ("https://elsewhere/x",))).state == "elsewhere"
    assert look(there.folder, Artifact(NAME, ("https://elsewhere/x",), size=5)).state == "newer"
    assert look(there.folder, Artifact(NAME, ("https://elsewhere/x",), sha256=digest_of(DATA))).state == "installed"


def test_only_the_mtime_differs(there: Staging) -> None:
    """Hashed again, and the receipt refreshed, so that the next look is quick."""
    before = receipt.read(there.receipt)
    assert before
    os.utime(there.target, (1, 1))
    assert look(there.folder, artifact_of(DATA)).state == "installed"
    after = receipt.read(there.receipt)
    assert after
    assert after == replace(before, mtime_ns=10**9, verified=after.verified, xxh3=f"{xxh3_of(DATA):08x}")


def test_a_file_that_has_changed_is_damaged(there: Staging) -> None:
    """By its bytes or by its size; the receipt stays as it was."""
    before = there.receipt.read_bytes()
    change(there, WRONG)
    assert look(there.folder, artifact_of(DATA)).state == "damaged"
    change(there, DATA + b"x")
    assert look(there.folder, artifact_of(DATA)).state == "damaged"
    assert there.receipt.read_bytes() == before


@pytest.mark.parametrize("artifact", [artifact_of(DATA), POINTER])
def test_a_file_without_receipt_that_is_right_is_adoptable(tmp_path: Path, artifact: Artifact) -> None:
    """Proved by its digest, or by its LFS pointer."""
    (tmp_path / NAME).write_bytes(DATA)
    found = look(tmp_path, artifact)
    assert found == Found(
        "adoptable",
        digest_of(DATA),
        len(DATA),
        (tmp_path / NAME).stat().st_mtime_ns,
        xxh3=f"{xxh3_of(DATA):08x}",
    )


@pytest.mark.parametrize("artifact", [artifact_of(WRONG), replace(artifact_of(DATA), size=5), unproved()])
def test_a_file_without_receipt_that_is_wrong_or_cannot_be_judged_is_foreign(
    tmp_path: Path, artifact: Artifact
) -> None:
    """luci did not install it."""
    (tmp_path / NAME).write_bytes(DATA)
    assert look(tmp_path, artifact).state == "foreign"


@pytest.mark.parametrize("text", [b"", b"[]", b'{"v": 1}', b"torn"])
def test_a_receipt_that_makes_no_sense_is_none(there: Staging, text: bytes) -> None:
    """The file is hashed like a foreign one."""
    there.receipt.write_bytes(text)
    assert look(there.folder, artifact_of(DATA)).state == "adoptable"


def test_a_symlink_at_the_target(tmp_path: Path) -> None:
    """The file that it points to is examined."""
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(DATA)
    assert look(tmp_path, artifact_of(DATA)).state == "adoptable"


@pytest.mark.parametrize("where", ["nowhere/m.gguf", NAME])
def test_a_symlink_at_the_target_that_leads_nowhere_is_an_error(there: Staging, where: str) -> None:
    """The disk with the file may not be mounted, or the link leads to itself: luci did install it, all the same."""
    there.target.unlink()
    there.target.symlink_to(where)
    with pytest.raises(
        StorageError, match=f"{there.target} is a symlink to {where}, which cannot be reached"
    ) as caught:
        look(there.folder, artifact_of(DATA))
    assert "Mount the disk" in caught.value.hint
    assert os.readlink(there.target) == where


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a socket", "a symlink to a folder", "a symlink to a device"])
def test_what_is_no_file_at_the_target_is_an_error(tmp_path: Path, kind: str) -> None:
    """The message says what it is; nothing of it is read or removed."""
    path = tmp_path / NAME
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        os.mknod(path, stat.S_IFSOCK)
    else:
        path.symlink_to("/dev/null" if "device" in kind else tmp_path)
    before = path.lstat()
    with pytest.raises(StorageError, match=f"is not a file but {kind}"):
        look(tmp_path, artifact_of(DATA))
    after = path.lstat()  # to follow a symlink sets the time of its last use
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)


def test_a_file_in_the_place_of_a_folder_on_the_way_is_an_error(tmp_path: Path) -> None:
    """In the system's words."""
    (tmp_path / "OWNER").write_text("mine")
    artifact = artifact_of(DATA, "OWNER/m.gguf")
    with pytest.raises(StorageError, match="Not a directory"):
        target.look(staging_for(tmp_path, artifact.name), artifact, CancelToken(), lambda _done: None)


def test_a_change_while_the_file_is_hashed_is_noticed_later(there: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt gets the mtime from before the reading, not from after it."""
    os.utime(there.target, (1, 1))
    real = hashing.hash_file

    def meddle(path: Path, *more: object) -> tuple[str, int]:
        found = real(path, *more)  # type: ignore[arg-type]
        path.write_bytes(WRONG)
        return found

    monkeypatch.setattr(target, "hash_file", meddle)
    assert look(there.folder, artifact_of(DATA)).state == "installed"
    monkeypatch.undo()
    assert look(there.folder, artifact_of(DATA)).state == "damaged"


def test_a_digest_that_becomes_known_later_is_recorded(there: Staging, tmp_path: Path) -> None:
    """A file that was installed without one is verified by it."""
    known = receipt.read(there.receipt)
    assert known
    receipt.write(there.receipt, replace(known, proof="none"))
    found = look(tmp_path, Artifact(known.name, (known.url,), sha256=known.sha256))
    after = receipt.read(there.receipt)
    assert after
    assert (found.state, after.proof) == ("installed", "sha256")


@pytest.mark.parametrize("is_right", [True, False])
def test_reading_again_renews_the_receipt_of_right_bytes_alone(there: Staging, is_right: bool) -> None:
    """It writes nothing: some callers hold the lock, others take it."""
    change(there, DATA if is_right else WRONG)
    before = receipt.read(there.receipt)
    assert before
    again = target.read_again(there, before, 7, CancelToken(), lambda _done: None)
    assert (again.sha256, again.size) == (digest_of(DATA if is_right else WRONG), before.size)
    assert (again.receipt and again.receipt.mtime_ns) == (7 if is_right else None)
    assert receipt.read(there.receipt) == before
