"""What must be done about each file, by what is at its target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.layout import staging_for
from luci_dl.errors import IntegrityError, NetworkError, StorageError
from luci_dl.events import Event, Warned
from luci_dl.install.actions import Action, Adopt, Complete, Copy, Fetch, Keep, Mend, Refuse, Wait
from luci_dl.install.context import InstallContext
from luci_dl.install.inspect import Inspector, quick_inspect, read_only_look
from luci_dl.install.local_copies import Copies
from luci_dl.install.pending import pending
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.plan import Options
from tests.disk.hands import KIB, artifact_of, gguf, held, install, kill_after, unproved, url_of

DATA, OTHER = gguf(8 * KIB), gguf(8 * KIB, seed=1)
A, B = artifact_of(DATA, "a.gguf"), artifact_of(OTHER, "b.gguf")


def inspect(folder: Path, *artifacts: Artifact, told: list[Event] | None = None, **more: object) -> list[Action]:
    """Without locks and servers. `more`: options, and `copies`."""
    copies = Copies({}, [], more.pop("copies", []), caches=False, emit=print)  # type: ignore[arg-type]
    options = Options(min_free=0, **more)  # type: ignore[arg-type]
    emit = (told if told is not None else []).append
    context = InstallContext(options, Network(offline=True), copies, CancelToken(), emit)
    return Inspector(folder, context, read_only_look(folder, context)).actions(artifacts)


def kinds(actions: list[Action]) -> list[type[Action]]:
    return [type(action) for action in actions]


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_each_state_has_its_action(tmp_path: Path) -> None:
    """Installed, right without a receipt, missing."""
    install(tmp_path, (DATA, "a.gguf"))
    put(tmp_path, {"b.gguf": OTHER})
    third = artifact_of(DATA, "c.gguf")
    keep, adopt, fetch = inspect(tmp_path, A, B, third)
    assert (type(keep), type(adopt)) == (Keep, Adopt)
    assert isinstance(fetch, Fetch)
    assert fetch == Fetch(third, tmp_path / "c.gguf", len(DATA))


LONG = gguf(2 * BLOCK)
KNOWN = artifact_of(LONG, "a.gguf")


@pytest.mark.parametrize(
    ("xxh3", "artifact", "data", "action"),
    [
        ("0000abcd", KNOWN, LONG, Mend),
        ("0000abcd", replace(KNOWN, size=None), LONG, Mend),
        ("0000abcd", A, DATA, Fetch),
        ("", KNOWN, LONG, Fetch),
        ("0000abcd", unproved("a.gguf"), LONG, Fetch),
        ("0000abcd", artifact_of(OTHER, "a.gguf"), LONG, Fetch),
    ],
    ids=["known", "without size", "one block", "no blocks", "no digest", "newer"],
)
def test_a_damaged_file_is_mended_if_its_blocks_are_known(
    tmp_path: Path, xxh3: str, artifact: Artifact, data: bytes, action: type[Action]
) -> None:
    """And are those of the artifact, whose digest will prove the whole."""
    install(tmp_path, (data, "a.gguf"))
    path = staging_for(tmp_path, "a.gguf").receipt
    known = receipt.read(path)
    assert known
    receipt.write(path, replace(known, xxh3=xxh3))
    os.truncate(tmp_path / "a.gguf", KIB)
    (decided,) = inspect(tmp_path, artifact)
    assert type(decided) is action
    assert decided.artifact.size == (len(data) if action is Mend else artifact.size)


def test_files_of_two_versions_do_not_make_a_model(tmp_path: Path) -> None:
    """An older version stays as long as all of it is there; then all of it is fetched."""
    install(tmp_path, (OTHER, "a.gguf"), (OTHER, "b.gguf"))
    newer, same = inspect(tmp_path, A, B)
    assert isinstance(newer, Keep)
    assert (newer.found.state, type(same)) == ("newer", Keep)
    assert kinds(inspect(tmp_path, A, B, artifact_of(DATA, "c.gguf"))) == [Fetch, Keep, Fetch]
    assert kinds(quick_inspect(tmp_path, [A, B, artifact_of(DATA, "c.gguf")], Options())) == [Fetch, Keep, Fetch]
    (tmp_path / "b.gguf").unlink()
    assert kinds(inspect(tmp_path, A, B)) == [Fetch, Fetch]


def test_files_from_two_addresses_do_not_make_a_model_either(tmp_path: Path) -> None:
    """The file stays unless another one of the model must be fetched."""
    install(tmp_path, (DATA, "a.gguf"))
    other = Artifact("a.gguf", ("https://elsewhere/a.gguf",))
    (kept,) = inspect(tmp_path, other)
    assert isinstance(kept, Keep)
    assert kept.found.state == "elsewhere"
    assert kinds(inspect(tmp_path, other, B)) == [Fetch, Fetch]


def test_force_replaces_what_is_not_proved(tmp_path: Path) -> None:
    """An older version, a foreign file, one that no digest proves; what is right stays."""
    install(tmp_path, (DATA, "a.gguf"), (DATA, "b.gguf"), (DATA, "c.gguf"))
    put(tmp_path, {"d.gguf": OTHER, "e.gguf": DATA})
    artifacts = [
        *(A, B, unproved("c.gguf"), artifact_of(DATA, "d.gguf"), artifact_of(DATA, "e.gguf")),
    ]
    assert kinds(inspect(tmp_path, *artifacts, force=True)) == [Keep, Fetch, Fetch, Fetch, Adopt]
    quick = quick_inspect(tmp_path, artifacts, Options(force=True))
    assert kinds(quick) == [Keep, Fetch, Fetch, Fetch, Fetch]  # the last one was not read


def test_a_refusal_stands_alone(tmp_path: Path) -> None:
    """A foreign file; one that only its server could judge; a folder in its place."""
    put(tmp_path, {"a.gguf": OTHER, "c.gguf": DATA})
    (tmp_path / "d.gguf").mkdir()
    for artifact, error in (
        (A, IntegrityError),
        (unproved("c.gguf"), NetworkError),
        (unproved("d.gguf"), StorageError),
    ):
        (refused,) = inspect(tmp_path, B, artifact)
        assert isinstance(refused, Refuse)
        assert (refused.artifact, type(refused.error)) == (artifact, error)


def test_a_folder_that_is_not_writable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if something has to be fetched into it."""
    install(tmp_path, (DATA, "a.gguf"))
    monkeypatch.setattr(os, "access", lambda *_args, **_more: False)
    assert kinds(inspect(tmp_path, A)) == [Keep]
    (refused,) = inspect(tmp_path, A, B)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, StorageError)


def test_a_copy_is_found(tmp_path: Path) -> None:
    """If a digest can prove it; else that is said."""
    put(tmp_path / "usb", {"a.gguf": DATA})
    (copy,) = inspect(tmp_path, A, copies=[tmp_path / "usb"])
    assert isinstance(copy, Copy)
    assert [found.path for found in copy.copies] == [tmp_path / "usb" / "a.gguf"]
    told: list[Event] = []
    assert kinds(inspect(tmp_path, unproved("a.gguf"), copies=[tmp_path / "usb"], told=told)) == [Fetch]
    (warned,) = (event for event in told if isinstance(event, Warned))
    assert "is not used for a.gguf, because no digest is known" in warned.message


def test_a_kept_part_counts(tmp_path: Path) -> None:
    """Unless it is not to be resumed, or belongs to other bytes."""
    kill_after(tmp_path, DATA, 4 * KIB, "a.gguf", A)
    (fetch,) = inspect(tmp_path, A)
    assert isinstance(fetch, Fetch)
    assert (fetch.resumed, fetch.needs, fetch.begun) == (4 * KIB, 0, True)
    for actions in (inspect(tmp_path, A, resume=False), inspect(tmp_path, artifact_of(OTHER, "a.gguf"))):
        assert [action.resumed for action in actions if isinstance(action, Fetch)] == [0]


def test_what_comes_first(tmp_path: Path) -> None:
    """A process at work on one of the files."""
    install(tmp_path, (DATA, "a.gguf"))
    assert pending(tmp_path, [A, B]) == []
    with held(tmp_path, "b.gguf"):
        assert pending(tmp_path, [A, B]) == [
            Wait(A, tmp_path / "a.gguf", ""),
            Wait(B, tmp_path / "b.gguf", "another process"),
        ]


def test_an_install_that_a_crash_cut_off_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no receipt yet."""
    monkeypatch.setattr("luci_dl.disk.commit.settle_all", lambda *_: None)
    install(tmp_path, (DATA, "a.gguf"))
    assert kinds(pending(tmp_path, [A])) == [Complete]


def test_a_quick_look_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without receipt counts as right, a receipt is believed if the size is right."""
    install(tmp_path, (DATA, "a.gguf"))
    os.utime(tmp_path / "a.gguf", (1, 1))
    put(tmp_path, {"b.gguf": DATA})
    monkeypatch.setattr("luci_dl.disk.target.hash_file", lambda *_: 1 / 0)
    assert kinds(quick_inspect(tmp_path, [A, B], Options())) == [Keep, Adopt]
    (tmp_path / "a.gguf").unlink()
    fetch, _ = quick_inspect(tmp_path, [A, B], Options())
    assert isinstance(fetch, Fetch)
    assert (fetch.needs, fetch.begun) == (len(DATA), True)
    staging_for(tmp_path, "a.gguf").receipt.unlink()
    fetch, _ = quick_inspect(tmp_path, [replace(A, urls=(url_of("x"),)), B], Options())
    assert isinstance(fetch, Fetch)
    assert not fetch.begun
