"""The last checks before the rename."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, journal
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import Interrupted, StorageError
from tests.disk.hands import (
    NAME,
    OPTIONS,
    artifact_of,
    assert_ends,
    is_free,
    pour,
)
from tests.disk.steps import DATA, STAY, WRONG, Step, finish, run, whole


def test_commit_after_an_interrupt_is_impossible(tmp_path: Path) -> None:
    """However late it comes, before the rename."""
    token = CancelToken()
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS, token=token)

    def act() -> None:
        with transaction:
            part = transaction.open(artifact_of(DATA))
            pour(part, DATA)
            part.verify(CancelToken())
            token.cancel(signal.SIGTERM)
            transaction.commit()

    assert_ends(tmp_path, Interrupted, act, [])
    assert not (tmp_path / NAME).exists()


def test_an_interrupt_at_the_very_last_check_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is ready, down to the last line of the journal."""
    token, real = CancelToken(), commit.holds
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS, token=token)

    def late(*args: Any) -> bool:
        token.cancel()
        return real(*args)

    monkeypatch.setattr(commit, "holds", late)

    def act() -> None:
        with transaction:
            whole(transaction)
            transaction.commit()

    assert_ends(tmp_path, Interrupted, act, [])
    assert not (tmp_path / NAME).exists()


def touch_lock(folder: Path) -> None:
    lock = staging_for(folder, NAME).lock
    text = lock.read_bytes()
    lock.unlink()
    lock.write_bytes(text)


def steal_lock(folder: Path) -> None:
    lock = staging_for(folder, NAME).lock
    lock.write_bytes(lock.read_bytes().replace(b'"nonce": "', b'"nonce": "x'))


def replace_part(folder: Path) -> None:
    part = staging_for(folder, NAME).part
    part.with_name("other").write_bytes(WRONG)
    part.with_name("other").rename(part)


def remove_part(folder: Path) -> None:
    staging_for(folder, NAME).part.unlink()


@pytest.mark.parametrize("meddle", [touch_lock, steal_lock, replace_part, remove_part])
def test_who_lost_lock_or_part_renames_nothing(tmp_path: Path, meddle: Callable[[Path], None]) -> None:
    """Locks save work; inode and nonce keep truth. The target is untouched."""
    (tmp_path / NAME).write_text("older")
    steps: tuple[Step, ...] = (whole, lambda _transaction: meddle(tmp_path), finish)
    left = ["other"] if (tmp_path / ".luci" / "other").exists() else []
    error = assert_ends(tmp_path, StorageError, lambda: run(tmp_path, *steps), left)
    assert "another program touched the staging files" in error.message
    assert (tmp_path / NAME).read_text() == "older"


@pytest.mark.parametrize("before", [None, "older"])
def test_a_file_that_appears_at_the_target_meanwhile_is_not_overwritten(tmp_path: Path, before: str | None) -> None:
    """It did not exist, or was another file, when --force was checked."""
    target = tmp_path / NAME
    if before:
        target.write_text(before)
    steps: tuple[Step, ...] = (
        lambda transaction: transaction.look(artifact_of(DATA)),
        whole,
        lambda _transaction: target.write_text("somebody's"),
        finish,
    )
    error = assert_ends(tmp_path, StorageError, lambda: run(tmp_path, *steps), [])
    assert "while it was downloaded" in error.message
    assert target.read_text() == "somebody's"


@pytest.mark.parametrize("where", ["part", "journal", "lock", "receipt", "commit"])
@pytest.mark.parametrize("kind", ["symlink", "folder"])
def test_what_was_planted_in_the_staging_is_refused_and_stays(tmp_path: Path, where: str, kind: str) -> None:
    """It is neither followed nor removed; the target of a link is not touched."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    planted = getattr(staging_for(tmp_path, NAME), where)
    planted.parent.mkdir()
    if kind == "symlink":
        planted.symlink_to(victim)
    else:
        planted.mkdir()
    looking: Step = lambda transaction: transaction.look(artifact_of(DATA))  # noqa: E731
    (tmp_path / NAME).write_text("older")
    with pytest.raises(StorageError, match=f"is a {kind}, where luci keeps a file of its own"):
        run(tmp_path, looking, whole, finish)
    assert os.path.lexists(planted)
    assert victim.read_text() == "mine"
    assert (tmp_path / NAME).read_text() == "older"
    if where != "lock":
        assert is_free(tmp_path)


def test_a_journal_of_another_format_and_its_part_stay(tmp_path: Path) -> None:
    """They are left alone, and reported."""
    staging = staging_for(tmp_path, NAME)
    staging.part.parent.mkdir()
    staging.part.write_bytes(DATA)
    staging.journal.write_bytes(journal.encode({"v": 2}))
    error = assert_ends(tmp_path, StorageError, lambda: run(tmp_path, whole, finish), STAY)
    assert "has format 2" in error.message
