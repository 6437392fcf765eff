"""The paths of the files of a target."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.disk.layout import in_lock_order, staging_at, staging_for
from luci_dl.errors import StorageError, UsageError


def test_the_staging_mirrors_the_tree_of_the_targets(tmp_path: Path) -> None:
    """In .luci, on the same file system, with one suffix for each kind."""
    staging = staging_for(tmp_path, "OWNER/REPO/m.gguf")
    assert staging.target == tmp_path / "OWNER/REPO/m.gguf"
    names = [path.relative_to(tmp_path).as_posix() for path in (staging.lock, staging.part, staging.journal)]
    assert names == [f".luci/OWNER/REPO/m.gguf.{kind}" for kind in ("lock", "part", "journal")]
    assert staging.receipt.name == "m.gguf.receipt"
    assert staging.commit.name == "m.gguf.commit"


def test_making_paths_touches_nothing(tmp_path: Path) -> None:
    """Not even the models folder has to be there."""
    staging_for(tmp_path / "models", "a/b.gguf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["", "../x.gguf", "a/../../x.gguf", "/etc/passwd", "a//b", ".hidden", "x.part", "a.lock/b", "x\0y", "a\\b"]
)
def test_a_name_that_leaves_the_folder_or_has_a_staging_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """For every caller, where the paths are made."""
    with pytest.raises(UsageError):
        staging_for(tmp_path, name)


def test_a_name_is_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    """One byte more is refused, in bytes and not in characters."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    assert staging_for(tmp_path, "x" * longest).target.name == "x" * longest
    for name in ("x" * (longest + 1), "é" * (longest // 2 + 1)):
        with pytest.raises(UsageError, match="too long"):
            staging_for(tmp_path, name)


def test_long_names_are_shortened_by_a_hash_and_stay_distinct(tmp_path: Path) -> None:
    """Every staging file of the longest names can be made, also in letters of several bytes."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    names = ["x" * (longest - 1) + end for end in "ab"] + ["é" * (longest // 2), "é" * (longest // 2 - 1) + "e"]
    bases = set()
    for name in names:
        staging = staging_for(tmp_path, name)
        bases.add(staging.base.name)
        staging.base.parent.mkdir(exist_ok=True)
        for path in (staging.lock, staging.part, staging.journal, staging.receipt, staging.commit):
            path.with_name(path.name + ".new").touch()
    assert len(bases) == len(names)


@pytest.mark.parametrize("where", [".luci", "OWNER", ".luci/OWNER"])
def test_a_symlink_that_leads_out_of_the_folder_is_refused(tmp_path: Path, where: str) -> None:
    """luci writes nothing there."""
    models, outside = tmp_path / "models", tmp_path / "outside"
    outside.mkdir()
    (models / where).parent.mkdir(parents=True)
    (models / where).symlink_to(outside)
    with pytest.raises(StorageError, match="leads out of the models folder"):
        staging_for(models, "OWNER/m.gguf")
    assert not list(outside.iterdir())


def test_the_models_folder_itself_may_be_a_symlink(tmp_path: Path) -> None:
    """To another disk, for example; and a folder in it may be a symlink to another folder in it."""
    (tmp_path / "disk" / "A").mkdir(parents=True)
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "B").symlink_to("A")
    assert staging_for(tmp_path / "models", "B/m.gguf").target == tmp_path / "models" / "B" / "m.gguf"


def test_a_loop_of_symlinks_raises_nothing_unexpected(tmp_path: Path) -> None:
    """It is an error when the folder is made."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert staging_for(tmp_path / "loop", "m.gguf").name == "m.gguf"


def test_locks_have_one_order_for_every_process(tmp_path: Path) -> None:
    """Whatever the order of the files of a model."""
    stagings = [staging_for(tmp_path, name) for name in ("b/z.gguf", "a.gguf", "b/a.gguf")]
    assert [staging.name for staging in in_lock_order(stagings)] == ["a.gguf", "b/a.gguf", "b/z.gguf"]
    assert in_lock_order(reversed(stagings)) == in_lock_order(stagings)


def test_staging_that_was_found_gets_its_name_only_when_the_name_leads_there(tmp_path: Path) -> None:
    """The text of a lock may contain anything."""
    base = tmp_path / ".luci" / "m.gguf"
    assert staging_at(tmp_path, base, "m.gguf").name == "m.gguf"
    for name in ("other.gguf", "../m.gguf", "", None):
        assert staging_at(tmp_path, base, name).name is None
    long = "x" * 255
    assert staging_at(tmp_path, staging_for(tmp_path, long).base, long).name == long
