"""Space on the disk, on real small disks if root runs the tests."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, space
from luci_dl.disk.journal import Header
from luci_dl.disk.journal_writer import Journal
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import NoRoom, StorageError
from luci_dl.plan import Options, Remote
from tests.disk.hands import (
    KIB,
    NAME,
    OPTIONS,
    artifact_of,
    assert_ends,
    digest_of,
    free_on,
    gguf,
    guarded,
    install,
    opened,
    part_at,
    pour,
    small_disk,
    staged,
    suspended,
    unproved,
    url_of,
)
from tests.procs import wait_until

MIB = 1 << 20


def refuse(_file: fs.File, _size: int, *, grow: bool = True) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def test_a_claim_takes_the_space_before_the_first_byte(tmp_path: Path) -> None:
    """The file has its full size then, and the disk that much less free space."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        before = free_on(disk)
        file = guarded(fs.create(disk / "a.part"))
        assert space.claim(file, 3 * MIB, 0)
        assert (disk / "a.part").stat().st_size == 3 * MIB
        assert before - free_on(disk) == 3 * MIB
        del file


def test_two_claims_cannot_get_the_same_space(tmp_path: Path) -> None:
    """The second one fails with what it needs and what is free, and gives back what it had."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        one, two = guarded(fs.create(disk / "a.gguf.part")), guarded(fs.create(disk / "b.gguf.part"))
        space.claim(one, 5 * MIB, 0)
        with pytest.raises(StorageError, match=r"no room for b\.gguf: 5\.2MB needed, 3\.1MB free") as caught:
            space.claim(two, 5 * MIB, 0)
        assert caught.value.reason == "No space left on device"
        assert (disk / "b.gguf.part").stat().st_blocks == 0
        assert space.claim(two, 3 * MIB, 0)
        del one, two


def test_the_reserve_stays_free(tmp_path: Path) -> None:
    """The claim is given back when it would eat into it."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        file = guarded(fs.create(disk / "a.part"))
        with pytest.raises(StorageError, match=r"and 4\.2MB must stay free \(min_free"):
            space.claim(file, 5 * MIB, 4 * MIB)
        assert free_on(disk) == 8 * MIB
        assert space.claim(file, 4 * MIB, 4 * MIB)
        del file


def test_where_nothing_can_be_claimed_the_length_is_set_and_the_room_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the part holds already counts."""
    monkeypatch.setattr(fs, "allocate", refuse)
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        file = guarded(fs.create(disk / "a.part"))
        assert not space.claim(file, 6 * MIB, 0)
        assert (disk / "a.part").stat().st_size == 6 * MIB
        assert free_on(disk) == 8 * MIB
        with pytest.raises(StorageError, match="no room"):
            space.claim(file, 6 * MIB, 3 * MIB)
        file.write(bytes(4 * MIB), 0)
        assert not space.claim(file, 6 * MIB, 2 * MIB)
        del file


@pytest.mark.parametrize("code", [errno.EFBIG, errno.EIO])
def test_another_refusal_of_the_system_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Such as that of a file system for small files."""

    def fail(_file: fs.File, _size: int, *, grow: bool = True) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fs, "allocate", fail)
    with pytest.raises(StorageError, match=os.strerror(code)):
        space.claim(guarded(fs.create(tmp_path / "a.part")), MIB, 0)


def test_a_file_that_no_disk_holds_is_refused_at_once(tmp_path: Path) -> None:
    """A server may announce anything."""
    with pytest.raises(StorageError):
        space.claim(guarded(fs.create(tmp_path / "a.part")), 10**17, 0)
    assert (tmp_path / "a.part").stat().st_blocks == 0


def test_an_install_that_does_not_fit_leaves_the_room_as_it_was(tmp_path: Path) -> None:
    """Error, files, lock; and the room is free again."""
    with small_disk(tmp_path / "disk", 4 * MIB) as disk:
        data = gguf(8 * MIB)
        (disk / NAME).write_text("older")
        error = assert_ends(disk, StorageError, lambda: install(disk, (data, NAME)), [])
        assert error.exit_code == 6
        assert (disk / NAME).read_text() == "older"
        wait_until(lambda: free_on(disk) >= 4 * MIB - 64 * KIB)


def statvfs_says(monkeypatch: pytest.MonkeyPatch, **fields: int) -> None:
    """Let the system's answer have these fields."""
    real = os.statvfs

    def statvfs(path: Path) -> SimpleNamespace:
        found = real(path)
        names = [name for name in dir(found) if name.startswith("f_")]
        return SimpleNamespace(**{name: getattr(found, name) for name in names} | fields)

    monkeypatch.setattr(os, "statvfs", statvfs)


@pytest.mark.parametrize(
    ("fields", "free"),
    [
        ({"f_blocks": 0, "f_bavail": 0, "f_bfree": 0}, None),
        ({"f_blocks": 0, "f_bavail": 9, "f_bfree": 9}, None),
        ({"f_blocks": 9, "f_frsize": 0, "f_bsize": 0}, None),
        ({"f_blocks": 9, "f_bavail": 2, "f_bfree": 3, "f_frsize": 0, "f_bsize": 512}, 1024),
        ({"f_blocks": 9, "f_bavail": 2, "f_bfree": 3, "f_frsize": 4096, "f_bsize": 1 << 20}, 8192),
        ({"f_blocks": 9, "f_bavail": 2**64 - 1, "f_bfree": 0, "f_frsize": 4096}, 0),
    ],
)
def test_what_is_free_is_what_the_system_says_in_its_own_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, int], free: int | None
) -> None:
    """A file system without a size says nothing; on some, less than nothing is available."""
    statvfs_says(monkeypatch, **fields)
    assert space.free_bytes(tmp_path) == free


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EIO, errno.EPERM])
def test_a_system_that_gives_no_figures_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """But a folder that is gone is an error."""

    def refuse_to_say(_path: Path) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(StorageError, match="No such file"):
        space.free_bytes(tmp_path / "gone")
    monkeypatch.setattr(os, "statvfs", refuse_to_say)
    assert space.free_bytes(tmp_path) is None
    space.watch(tmp_path / "a.part", MIB, 1 << 60)


@pytest.mark.parametrize("preallocates", [True, False])
def test_a_disk_of_unknown_size_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preallocates: bool
) -> None:
    """Whatever has to stay free: a write will say when there is no room."""
    if not preallocates:
        monkeypatch.setattr(fs, "allocate", refuse)
    with small_disk(tmp_path / "disk", 0, kind="ramfs") as disk:
        assert space.free_bytes(disk) is None
        install(disk, (gguf(MIB), NAME), options=Options(min_free=1 << 40))
        assert (disk / NAME).stat().st_size == MIB


@pytest.mark.parametrize(("code", "said"), [(errno.EDQUOT, "your quota on"), (errno.ENOSPC, "No space left on device")])
def test_a_refusal_that_the_free_space_does_not_explain_has_no_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    """A quota of the user or of the folder: what is free would contradict it."""

    def refuse_room(_file: fs.File, _size: int, *, grow: bool = True) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(space, "_PAUSES_S", (0.01, None))
    monkeypatch.setattr(fs, "allocate", refuse_room)
    data = gguf(MIB)
    error = assert_ends(tmp_path, NoRoom, lambda: install(tmp_path, (data, NAME)), [])
    assert "cannot claim 1.0MB for" in error.message
    assert said in error.message
    assert " free" not in error.message


def test_an_old_part_does_not_stand_in_the_way_of_its_successor(tmp_path: Path) -> None:
    """Its room is free before the new claim, though it was open a moment ago."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        data, staging = gguf(6 * MIB), staging_for(disk, NAME)
        staging.part.parent.mkdir()
        staging.part.write_bytes(data)
        Journal(staging.journal).begin(Header(NAME, len(data), digest_of(data)))
        part = part_at(disk, artifact_of(data))
        assert opened(part) == 0
        part.remove()
        del part


def test_a_resumed_part_claims_only_what_it_lacks(tmp_path: Path) -> None:
    """Its own space counts."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        data = gguf(6 * MIB)
        part = part_at(disk, artifact_of(data))
        opened(part)
        pour(part, data, 4 * MIB, block=MIB)
        assert suspended(part) == 4 * MIB
        del part
        again = part_at(disk, artifact_of(data))
        assert opened(again) == 4 * MIB
        pour(again, data, block=MIB)
        assert again.verify(CancelToken()) == digest_of(data)
        again.remove()
        del again


@pytest.mark.parametrize("known", [True, False])
def test_a_disk_that_runs_full_meanwhile_ends_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Where nothing was claimed: with the system's error, or earlier, by the watch, with the reserve untouched."""
    monkeypatch.setattr(fs, "allocate", refuse)
    data = gguf(6 * MIB)
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        artifact = artifact_of(data) if known else unproved()

        def fetch() -> None:
            with Transaction(disk, [artifact], options=Options(min_free=MIB)) as transaction:
                part = transaction.open(artifact)
                pour(part, data, 2 * MIB, Remote(url_of(), artifact.size, None))
                part.check()
                wait_until(lambda: part.frontier == 2 * MIB)
                (disk / "other").write_bytes(bytes(5 * MIB + 4096))
                part.check()

        error = assert_ends(disk, StorageError, fetch, [])
        assert ("4.2MB needed, 1.0MB free" if known else "no room for model.gguf: 1.0MB free") in error.message


def test_a_disk_that_is_full_to_the_last_byte_is_one_clear_error(tmp_path: Path) -> None:
    """Whether the lock's text can be written or not."""
    with small_disk(tmp_path / "disk", MIB) as disk:
        (disk / "other").write_bytes(bytes(free_on(disk)))
        with pytest.raises(StorageError):
            install(disk, (gguf(64 * KIB), NAME), options=OPTIONS)
        assert not (disk / NAME).exists()
        assert not (disk / ".luci").exists() or staged(disk) == []
