"""What vanishes while a model is fetched is reported at once, not after the last byte."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.disk import locks
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import StorageError
from tests.disk.hands import KIB, NAME, OPTIONS, artifact_of, attribute, gguf, is_free, pour, small_disk
from tests.disk.steps import DATA, Step, half, run
from tests.procs import wait_until
from tests.tools import need


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "REPORT_S", 0.01)


def after(meddle: Callable[[], object]) -> Step:
    """Half is there, then something happens to the files; the check that every fetch makes goes on until it fails."""

    def step(transaction: Transaction) -> None:
        half(transaction)
        meddle()
        part = transaction._parts[NAME]
        for _ in range(500):
            part.check()
            time.sleep(0.01)

    return step


def error_after(folder: Path, meddle: Callable[[], object]) -> StorageError:
    with pytest.raises(StorageError) as caught:
        run(folder, after(meddle))
    assert not (folder / NAME).exists()
    assert is_free(folder)
    return caught.value


def other_part(folder: Path) -> None:
    part = staging_for(folder, NAME).part
    part.with_name("other").write_bytes(DATA)
    part.with_name("other").rename(part)


@pytest.mark.parametrize("which", ["part", "lock"])
def test_a_deleted_file_is_named(tmp_path: Path, which: str) -> None:
    """The part or the lock, by a program that cleans up; what is left of the two is removed."""
    path = getattr(staging_for(tmp_path, NAME), which)
    error = error_after(tmp_path, path.unlink)
    assert error.message == f"another program replaced or deleted {path}"
    assert "run the install command again" in error.hint
    assert not [each for each in (tmp_path / ".luci").iterdir() if each.suffix != ".lock"]


def test_a_replaced_part_is_named(tmp_path: Path) -> None:
    """Its bytes would not become the model."""
    error = error_after(tmp_path, lambda: other_part(tmp_path))
    assert error.message == f"another program replaced or deleted {staging_for(tmp_path, NAME).part}"


def test_a_deleted_staging_folder_is_named(tmp_path: Path) -> None:
    """Instead of the first of the files that were in it."""
    error = error_after(tmp_path, lambda: shutil.rmtree(tmp_path / ".luci"))
    assert f"the folder {tmp_path / '.luci'} is gone" in error.message


def test_a_renamed_models_folder_is_named(tmp_path: Path) -> None:
    """Nothing is made anew under the old name."""
    folder = tmp_path / "models"
    error = error_after(folder, lambda: folder.rename(tmp_path / "elsewhere"))
    assert f"the folder {folder} is gone" in error.message
    assert not folder.exists()


def test_an_unmounted_disk_is_reported(tmp_path: Path) -> None:
    """The part lies on the disk that is gone, so nothing is written below the empty mount point."""
    with small_disk(tmp_path / "disk", 1 << 20) as folder:
        error = error_after(folder, lambda: subprocess.run([need("umount"), "-l", str(folder)], check=True))
        assert "its disk was unmounted" in error.message
        assert list(folder.iterdir()) == []
        subprocess.run([need("mount"), "-t", "tmpfs", "tmpfs", str(folder)], check=True)


def test_a_folder_that_becomes_read_only_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an error of the disk, where a bind mount of the same would not be allowed."""

    def refuse(folder: Path) -> None:
        raise StorageError(f"cannot write into {folder}: Read-only file system")

    error = error_after(tmp_path, lambda: monkeypatch.setattr("luci_dl.disk.fs.check_writable", refuse))
    assert "Read-only file system" in error.message


def test_a_folder_that_may_no_longer_be_written_is_reported(tmp_path: Path) -> None:
    """The one that the file is for, too, and not after the last byte."""
    with contextlib.ExitStack() as stack:
        error = error_after(tmp_path, lambda: stack.enter_context(attribute("i", tmp_path)))
        assert error.message == f"cannot write into {tmp_path}: it is immutable"


def test_a_file_of_the_model_that_is_not_being_fetched_is_watched_too(tmp_path: Path) -> None:
    """The rest of the model is not fetched for nothing."""
    files = {name: gguf(8 * KIB, seed) for seed, name in enumerate(("a.gguf", "b.gguf"))}
    artifacts = [artifact_of(data, name) for name, data in files.items()]
    transaction = Transaction(tmp_path, artifacts, options=OPTIONS)

    def act() -> None:
        with transaction:
            first, second = [transaction.open(artifact) for artifact in artifacts]
            pour(first, files["a.gguf"])
            pour(second, files["b.gguf"], 4 * KIB)
            staging_for(tmp_path, "a.gguf").part.unlink()
            for _ in range(500):
                second.check()
                time.sleep(0.01)

    with pytest.raises(StorageError, match=r"another program replaced or deleted .*a\.gguf\.part"):
        act()
    assert not [each for each in (tmp_path / ".luci").iterdir() if each.suffix != ".lock"]
    assert is_free(tmp_path, "a.gguf")
    assert is_free(tmp_path, "b.gguf")


def test_what_is_in_order_is_not_reported(tmp_path: Path) -> None:
    """Dozens of looks while parts are begun, closed while they wait, and verified."""
    looks: list[None] = []

    def finish(transaction: Transaction) -> None:
        real = transaction._watch._files_are_there
        transaction._watch._files_are_there = lambda: looks.append(real())
        half(transaction)
        wait_until(lambda: len(looks) > 20)
        part = transaction._parts[NAME]
        pour(part, DATA)
        part.verify(transaction._token)
        wait_until(lambda: len(looks) > 40)
        part.check()
        transaction.commit()

    run(tmp_path, finish)
    assert (tmp_path / NAME).read_bytes() == DATA
