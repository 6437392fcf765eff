"""What other programs hold, while it changes, and where it cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.errors import StorageError
from luci_dl.library import programs
from luci_dl.library.programs import ProgramFile, below, program_files

DIGEST = "a" * 64


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def in_hub(cache: Path, repo: str) -> Path:
    pointer = cache / repo / "snapshots" / "abc" / "m.gguf"
    put(cache / repo / "blobs" / DIGEST)
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(f"../../blobs/{DIGEST}")
    return pointer


def test_blobs_that_no_model_names_are_held_without_a_name(user: Path) -> None:
    """A data set in the Hub's cache, too; what is not called by a digest is none."""
    pointer = in_hub(user / ".cache/huggingface/hub", "models--o--r")
    other = put(user / ".cache/huggingface/hub/datasets--o--d/blobs" / ("b" * 40))
    put(other.with_name("b.incomplete"))
    blob = pointer.resolve()
    assert list(program_files({}, _refuse)) == [
        ProgramFile("Hugging Face", "", other, "b" * 40),
        ProgramFile("Hugging Face", "o/r/m.gguf", pointer, DIGEST),
        ProgramFile("Hugging Face", "", blob, DIGEST),
    ]


def test_a_pointer_over_a_second_one_has_the_digest_of_the_blob(user: Path) -> None:
    """As newer clients make them, which keep all blobs in one place."""
    pointer = in_hub(user / ".cache/huggingface/hub", "models--o--r")
    blob = pointer.resolve()
    blob.rename(put(user / "store" / DIGEST))
    blob.with_name("etag").symlink_to(user / "store" / DIGEST)
    pointer.unlink()
    pointer.symlink_to("../../blobs/etag")
    assert [file.digest for file in program_files({}, _refuse)] == [DIGEST]


def test_two_names_of_one_cache_are_read_once(user: Path) -> None:
    """LLAMA_CACHE may be the cache of the Hub."""
    cache = user / ".cache/huggingface/hub"
    in_hub(cache, "models--o--r")
    put(cache / "o_r_m.gguf")
    (user / "llama").symlink_to(cache)
    held = program_files({"LLAMA_CACHE": str(user / "llama")}, _refuse)
    assert [file.program for file in held] == ["Hugging Face", "Hugging Face", "llama.cpp"]


def test_what_vanishes_while_it_is_read_is_no_error(user: Path) -> None:
    """Everything after the first name; the rest is not there any more."""
    cache = user / ".cache/huggingface/hub"
    first = in_hub(cache, "models--a--a")
    in_hub(cache, "models--b--b")
    (first.parent / "n.gguf").symlink_to("m.gguf")
    held = program_files({}, _refuse)
    assert next(held).path == first
    for path in sorted(cache.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert [file.digest for file in held] == [""]  # its name was read already


def test_a_folder_with_too_many_names_is_cut_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_NAMES", 2)
    for name in ("a/1", "a/2", "b/3"):
        put(tmp_path / name)
    reported: list[tuple[Path, StorageError]] = []
    assert [path.name for path in below(tmp_path, lambda *what: reported.append(what))] == ["1", "2"]
    assert [(path, error.message) for path, error in reported] == [
        (tmp_path, f"{tmp_path} has more than 2 names; the rest was not searched")
    ]


@pytest.mark.parametrize("place", [".ollama/models", ".cache/llama.cpp", ".cache/huggingface/hub", ".lmstudio/models"])
def test_a_place_that_cannot_be_read_is_reported_once(user: Path, place: str) -> None:
    """Symlinks in a circle, so that root cannot read it either."""
    (user / place).parent.mkdir(parents=True, exist_ok=True)
    (user / place).symlink_to(user / place)
    reported: list[Path] = []
    assert list(program_files({}, lambda path, _error: reported.append(path))) == []
    assert reported == [user / place]


def test_a_disk_that_fails_while_it_is_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an error names no file."""

    def failing(_path: str) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    reported: list[Path] = []
    assert list(below(tmp_path, lambda path, _error: reported.append(path))) == []
    assert reported == [tmp_path]


def _refuse(path: Path, error: StorageError) -> None:
    raise AssertionError(f"{path}: {error.message}")
