"""Verifying: every byte is read, the result is noted, and correct files are left alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, hashing, receipt, target
from luci_dl.disk.blocks import BLOCK as MIB
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import DISTRUSTED, Receipt
from luci_dl.errors import Interrupted, StorageError
from luci_dl.events import Event, Hashing, Verified, Warned
from luci_dl.library import verify as verifier
from luci_dl.library.installed import installed
from luci_dl.library.verify import unmanaged, verify
from luci_dl.model import Artifact
from tests.disk.hands import KIB, artifact_of, digest_of, gguf, held, install, is_free, xxh3_of
from tests.procs import files_left, lock_is_free

DATA, OTHER = gguf(64 * KIB), gguf(48 * KIB, seed=1)
LONG_AGO = "2020-01-01T00:00:00+00:00"


def nothing(_receipt: Receipt) -> Artifact | None:
    """The catalog knows nothing."""
    return None


def known(folder: Path, name: str) -> Receipt:
    found = receipt.read(staging_for(folder, name).receipt)
    assert found
    return found


def age(folder: Path, name: str) -> None:
    """Make the last verification of the file long ago."""
    receipt.write(staging_for(folder, name).receipt, replace(known(folder, name), verified=LONG_AGO))


def states(*folders: Path, named: verifier.Named = nothing) -> dict[str, str]:
    events = list[Event]()
    found = verify(installed(folders), named, CancelToken(), events.append)
    assert sorted(found, key=str) == sorted((event for event in events if isinstance(event, Verified)), key=str)
    return {verdict.name: verdict.state for verdict in found}


def flip(path: Path, at: int) -> None:
    """Change the byte at that offset."""
    with path.open("r+b") as file:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)


def rot(path: Path) -> None:
    """Change a byte without changing size or mtime."""
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"rotten")
    os.utime(path, ns=(before, before))


def test_each_kind_of_damage_has_a_verdict_of_its_own(tmp_path: Path) -> None:
    """Of several folders, and of the files of one model."""
    one, two = tmp_path / "one", tmp_path / "two"
    install(one, (DATA, "right.gguf"), (OTHER, "gone.gguf"), (DATA, "short.gguf"))
    install(two, (DATA, "rotten.gguf"), (OTHER, "longer.gguf"), (DATA, "folder.gguf"), (DATA, "right.gguf"))
    (one / "gone.gguf").unlink()
    os.truncate(one / "short.gguf", 100)
    rot(two / "rotten.gguf")
    (two / "longer.gguf").write_bytes(OTHER + b"!")
    (two / "folder.gguf").unlink()
    (two / "folder.gguf").mkdir()
    assert states(one) == {"right.gguf": "ok", "gone.gguf": "missing", "short.gguf": "truncated"}
    assert states(two) == {
        "rotten.gguf": "changed", "longer.gguf": "changed", "folder.gguf": "unreadable", "right.gguf": "ok",
    }  # fmt: skip


def test_it_says_where_a_file_is_damaged(tmp_path: Path) -> None:
    """By the blocks that an earlier verification has noted; the ranges are whole blocks, and end with the file."""
    data = gguf(5 * MIB + 7)
    install(tmp_path, (data, "a.gguf"))
    assert states(tmp_path) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").blocks.known == 6
    for at in (MIB, 3 * MIB - 1, 5 * MIB):
        flip(tmp_path / "a.gguf", at)
    (verdict,) = verify(installed([tmp_path]), nothing, CancelToken(), lambda _: None)
    assert verdict.damaged == ((MIB, 3 * MIB), (5 * MIB, 5 * MIB + 7))
    assert verdict.found.endswith("; 3 of 6 blocks of 1 MiB differ, the first at 1.0MB")
    assert known(tmp_path, "a.gguf").blocks[1] is not None
    assert is_free(tmp_path, "a.gguf")


@pytest.mark.parametrize("text", ["", "no digests", "00000000", "0" * 80])
def test_a_receipt_without_true_blocks_says_nothing_of_where(tmp_path: Path, text: str) -> None:
    """It is of an older luci, or another user wrote it: then all that is known is the SHA-256."""
    install(tmp_path, (DATA, "a.gguf"))
    before = replace(known(tmp_path, "a.gguf"), xxh3=text)
    receipt.write(staging_for(tmp_path, "a.gguf").receipt, before)
    assert states(tmp_path) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").xxh3 == f"{xxh3_of(DATA):08x}"
    receipt.write(staging_for(tmp_path, "a.gguf").receipt, before)
    rot(tmp_path / "a.gguf")
    (verdict,) = verify(installed([tmp_path]), nothing, CancelToken(), lambda _: None)
    assert verdict.state == "changed"
    assert len(verdict.damaged) == (text == "00000000")


def test_a_file_below_a_symlinked_folder_is_read_like_any_other(tmp_path: Path) -> None:
    """The user may have moved it to a larger disk; the result is noted all the same."""
    models = tmp_path / "models"
    install(models, (DATA, "owner/a.gguf"), (OTHER, "b.gguf"))
    age(models, "owner/a.gguf")
    (models / "owner").rename(tmp_path / "elsewhere")
    (models / "owner").symlink_to(tmp_path / "elsewhere")
    assert states(models) == {"owner/a.gguf": "ok", "b.gguf": "ok"}
    assert all(file.receipt.verified > LONG_AGO for model in installed([models]) for file in model.files)
    rot(tmp_path / "elsewhere" / "a.gguf")
    assert states(models) == {"owner/a.gguf": "changed", "b.gguf": "ok"}
    assert all(map(lock_is_free, (models / ".luci").rglob("*.lock")))


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be model files in it."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.gguf").touch()
    list_folder = os.scandir

    def refuse(path: str) -> object:
        if path == str(tmp_path / "mine"):
            raise PermissionError(13, "Permission denied", path)
        return list_folder(path)

    monkeypatch.setattr("os.scandir", refuse)
    problems: dict[Path, StorageError] = {}
    found = unmanaged(tmp_path, [], CancelToken(), problems.__setitem__)
    assert [verdict.name for verdict in found] == ["mine.gguf"]
    assert [(path, error.reason) for path, error in problems.items()] == [(tmp_path / "mine", "Permission denied")]


def test_it_says_what_was_expected_and_found(tmp_path: Path) -> None:
    install(tmp_path, (DATA, "a.gguf"))
    rot(tmp_path / "a.gguf")
    (verdict,) = verify(installed([tmp_path]), nothing, CancelToken(), lambda _: None)
    found = digest_of((tmp_path / "a.gguf").read_bytes())
    assert verdict.expected == f"SHA-256 {digest_of(DATA)}"
    assert verdict.found == f"SHA-256 {found}; 1 of 1 blocks of 1 MiB differ, the first at 0B"
    assert (verdict.path, verdict.reference) == (str(tmp_path / "a.gguf"), "a.gguf")
    os.truncate(tmp_path / "a.gguf", 100)
    (verdict,) = verify(installed([tmp_path]), nothing, CancelToken(), lambda _: None)
    assert (verdict.expected, verdict.found) == (f"{len(DATA)} bytes", "100 bytes")


def test_when_it_was_verified_is_noted(tmp_path: Path) -> None:
    """And an mtime that changed for another reason is corrected in the receipt."""
    install(tmp_path, (DATA, "a.gguf"))
    age(tmp_path, "a.gguf")
    os.utime(tmp_path / "a.gguf", (1, 1))
    assert installed([tmp_path])[0].state == "touched"
    assert states(tmp_path) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").verified > LONG_AGO
    assert installed([tmp_path])[0].state == "ok"


def test_a_damaged_file_is_not_trusted_any_more(tmp_path: Path) -> None:
    """`list` shows it from now on, and an install reads it before it says that it is there; right again, it is ok."""
    install(tmp_path, (DATA, "a.gguf"))
    age(tmp_path, "a.gguf")
    rot(tmp_path / "a.gguf")
    assert installed([tmp_path])[0].state == "ok"
    assert states(tmp_path) == {"a.gguf": "changed"}
    assert (known(tmp_path, "a.gguf").mtime_ns, known(tmp_path, "a.gguf").verified) == (DISTRUSTED, LONG_AGO)
    assert installed([tmp_path])[0].state == "changed"
    (tmp_path / "a.gguf").write_bytes(DATA)
    assert states(tmp_path) == {"a.gguf": "ok"}
    assert installed([tmp_path])[0].state == "ok"


def test_the_catalog_counts(tmp_path: Path) -> None:
    """Other bytes than it names are a newer version; a digest that it has by now is a proof."""
    install(tmp_path, (DATA, "a.gguf"))
    receipt.write(staging_for(tmp_path, "a.gguf").receipt, replace(known(tmp_path, "a.gguf"), proof="none"))
    assert states(tmp_path, named=lambda _: artifact_of(OTHER, "a.gguf")) == {"a.gguf": "newer"}
    assert known(tmp_path, "a.gguf").proof == "none"
    assert states(tmp_path, named=lambda _: Artifact("a.gguf", ("https://x/a",))) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").proof == "none"
    assert states(tmp_path, named=lambda _: artifact_of(DATA, "a.gguf")) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").proof == "sha256"


def test_a_file_that_is_shorter_than_its_header_says_is_truncated(tmp_path: Path) -> None:
    """Though it is what was installed, if no digest was known then."""
    from luci_dl.cli.demo_gguf import make_gguf

    short = make_gguf(300_000)[:200_000]
    install(tmp_path, (short, "a.gguf"))
    assert states(tmp_path) == {"a.gguf": "ok"}  # the digest that was known says that it has to be so
    receipt.write(staging_for(tmp_path, "a.gguf").receipt, replace(known(tmp_path, "a.gguf"), proof="none"))
    assert states(tmp_path) == {"a.gguf": "truncated"}


def test_another_kind_of_file_is_invalid(tmp_path: Path) -> None:
    """Though it is what was installed, if no digest was known then."""
    install(tmp_path, (b"<!DOCTYPE html><title>Log in</title>", "a.bin"))
    assert states(tmp_path) == {"a.bin": "ok"}
    receipt.write(staging_for(tmp_path, "a.bin").receipt, replace(known(tmp_path, "a.bin"), proof="none"))
    (verdict,) = verify(installed([tmp_path]), nothing, CancelToken(), lambda _event: None)
    assert (verdict.state, verdict.wrong) == ("invalid", True)
    assert verdict.found.startswith("a.bin is a web page, not ")


def test_a_lost_receipt_is_reported(tmp_path: Path) -> None:
    """Of a model whose other files are installed."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "b.gguf"))
    staging_for(tmp_path, "b.gguf").receipt.unlink()
    assert states(tmp_path) == {"a.gguf": "ok", "b.gguf": "missing"}


def test_a_shared_file_is_read_once(tmp_path: Path) -> None:
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "proj.gguf"))
    install(tmp_path, (DATA, "b.gguf"), (OTHER, "proj.gguf"))
    assert len(verify(installed([tmp_path]), nothing, CancelToken(), lambda _: None)) == 3


def test_files_are_read_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many at a time as there are cores: all of them meet here."""
    monkeypatch.setattr(verifier, "_cores", lambda: 3)
    install(tmp_path, *((DATA, f"{n}.gguf") for n in range(7)))
    meeting, real = threading.Barrier(3, timeout=20), hashing.hash_file
    calls = iter(range(6))

    def hash_file(path: Path, token: CancelToken, hashed: Callable[[int], None], *more: Any) -> tuple[str, int]:
        if next(calls, None) is not None:
            meeting.wait()
        return real(path, token, hashed, *more)

    monkeypatch.setattr(target, "hash_file", hash_file)
    assert list(states(tmp_path).values()) == ["ok"] * 7


def test_progress_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the bars."""
    install(tmp_path, (DATA, "a.gguf"))

    def hash_file(_path: Path, _token: CancelToken, hashed: Callable[[int], None], *more: Any) -> tuple[str, int]:
        hashed(5)
        return digest_of(DATA), len(DATA)

    monkeypatch.setattr(target, "hash_file", hash_file)
    events = list[Event]()
    verify(installed([tmp_path]), nothing, CancelToken(), events.append)
    assert events[0] == Hashing("a.gguf", 5, len(DATA))


def test_an_interrupt_stops_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while a read hangs."""
    install(tmp_path, (DATA, "a.gguf"), (DATA, "b.gguf"))
    token, hang = CancelToken(), threading.Event()

    def read_at(_file: fs.File, _size: int, _offset: int) -> bytes:
        token.cancel()
        hang.wait(20)
        return b""

    monkeypatch.setattr(fs, "read_at", read_at)
    with pytest.raises(Interrupted):
        verify(installed([tmp_path]), nothing, token, lambda _: None)
    assert not hang.is_set()
    hang.set()
    assert known(tmp_path, "a.gguf").mtime_ns != DISTRUSTED
    assert is_free(tmp_path, "a.gguf")


def test_a_bug_in_a_thread_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, (DATA, "a.gguf"))

    def hash_file(*_args: object) -> tuple[str, int]:
        raise ZeroDivisionError

    monkeypatch.setattr(target, "hash_file", hash_file)
    with pytest.raises(ZeroDivisionError):
        states(tmp_path)


def test_a_file_that_is_replaced_meanwhile_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No verdict on the old file is written into the new one's receipt."""
    install(tmp_path, (DATA, "a.gguf"))
    real, rounds = hashing.hash_file, list[str]()

    def hash_file(path: Path, token: CancelToken, hashed: Callable[[int], None], *more: Any) -> tuple[str, int]:
        found = real(path, token, hashed, *more)
        if not rounds:
            path.unlink()
            staging_for(tmp_path, "a.gguf").receipt.unlink()
            install(tmp_path, (OTHER, "a.gguf"))
        rounds.append(found[0])
        return found

    monkeypatch.setattr(target, "hash_file", hash_file)
    assert states(tmp_path) == {"a.gguf": "ok"}
    assert rounds == [digest_of(DATA), digest_of(OTHER)]
    assert known(tmp_path, "a.gguf").sha256 == digest_of(OTHER)


def test_an_install_of_the_same_file_is_not_disturbed(tmp_path: Path) -> None:
    """Then the receipt is not changed; nothing waits for the lock."""
    install(tmp_path, (DATA, "a.gguf"))
    age(tmp_path, "a.gguf")
    with held(tmp_path, "a.gguf"):
        assert states(tmp_path) == {"a.gguf": "ok"}
    assert known(tmp_path, "a.gguf").verified == LONG_AGO


def test_a_read_only_folder_can_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning says that the results are not noted."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "b.gguf"))
    age(tmp_path, "a.gguf")
    age(tmp_path, "b.gguf")

    def refuse(path: Path, _data: bytes, **_more: object) -> None:
        raise StorageError(f"cannot create {path}: Read-only file system")

    monkeypatch.setattr(fs, "write_file", refuse)
    events = list[Event]()
    found = verify(installed([tmp_path]), nothing, CancelToken(), events.append)
    assert {verdict.state for verdict in found} == {"ok"}
    assert len([event for event in events if isinstance(event, Warned)]) == 1
    assert is_free(tmp_path, "a.gguf")


def test_no_new_file_is_left(tmp_path: Path) -> None:
    """Not even a lock file, where `clean` has removed it."""
    install(tmp_path, (DATA, "a.gguf"))
    staging_for(tmp_path, "a.gguf").lock.unlink()
    before = files_left(tmp_path)
    states(tmp_path)
    assert files_left(tmp_path) == before


def test_models_that_luci_did_not_install_are_reported(tmp_path: Path) -> None:
    """Except hidden files, other kinds of files, and those in another models folder."""
    install(tmp_path, (DATA, "sub/a.gguf"))
    install(tmp_path / "other", (DATA, "b.gguf"))
    for name in ("mine.gguf", "sub/mine.safetensors", ".hidden.gguf", "notes.txt", "other/mine.gguf"):
        (tmp_path / name).write_text("mine")
    found = unmanaged(tmp_path, installed([tmp_path]), CancelToken())
    assert [(each.name, each.state) for each in found] == [
        ("mine.gguf", "unmanaged"), ("sub/mine.safetensors", "unmanaged"),
    ]  # fmt: skip
