"""To a bucket: the files first, then the manifest; what is there is not sent again, and nothing there lies."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.errors import IntegrityError, Interrupted, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.events import Event, Uploading, Warned
from luci_dl.net import objects
from tests.disk.hands import digest_of, install
from tests.transport.conftest import DATA, OTHER, there

if TYPE_CHECKING:
    from tests.bucket import Call, Store

LAB = "s3://models/lab"


@pytest.fixture
def stored(models: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store, and the model `o/a.gguf` of two files here; no error is tried again."""
    install(models, (DATA, "o/a.gguf"), (OTHER, "o/a-mmproj.gguf"))
    monkeypatch.setattr(objects, "RETRIES", {"max_retries": 0})
    return store


@pytest.fixture
def place(stored: Store, models: Path) -> str:
    """The folder in the bucket that the model goes to."""
    return luci_dl.push("o/a.gguf", to=LAB, dry_run=True)[0].folder.removeprefix("s3://models/")


def test_a_pushed_model_is_installed_from_its_place(
    stored: Store, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a digest being typed; with the same names, roles and digests."""
    events: list[Event] = []
    (pushed,) = luci_dl.push("o/a.gguf", to=LAB, emit=events.append)
    assert (pushed.outcome, pushed.copied, pushed.size) == ("pushed", pushed.size, len(DATA) + len(OTHER))
    assert {event.name for event in events if isinstance(event, Uploading)} == {"o/a.gguf", "o/a-mmproj.gguf"}
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    luci_dl.install(pushed.folder, folder=tmp_path / "new")
    assert there(tmp_path / "new") == there(models) == ["o/a-mmproj.gguf", "o/a.gguf"]
    assert (tmp_path / "new/o/a.gguf").read_bytes() == DATA
    (model,) = luci_dl.installed(folder=tmp_path / "new")
    assert model.reference == pushed.folder
    assert [file.receipt.proof for file in model.files] == ["sha256"] * 2


def test_the_manifest_comes_last(stored: Store) -> None:
    luci_dl.push("o/a.gguf", to=LAB)
    assert [path.rpartition("/")[2] for path in stored.asked("PUT")] == ["a.gguf", "a-mmproj.gguf", "luci.json"]


def test_what_is_there_is_not_sent_again(stored: Store, place: str) -> None:
    """A file that is missing, or has another size, is; the manifest too, then."""
    luci_dl.push("o/a.gguf", to=LAB)
    stored.calls.clear()
    assert luci_dl.push("o/a.gguf", to=LAB)[0].outcome == "already"
    assert stored.asked("PUT") == []
    stored.put(f"{place}/{digest_of(DATA)}/a.gguf", DATA[:-1])
    (again,) = luci_dl.push("o/a.gguf", to=LAB)
    assert (again.outcome, again.copied) == ("pushed", len(DATA))
    assert stored.get(f"{place}/{digest_of(DATA)}/a.gguf") == DATA


def test_a_dry_run_sends_nothing(stored: Store) -> None:
    (planned,) = luci_dl.push("o/a.gguf", to=LAB, dry_run=True)
    assert (planned.dry_run, planned.copied) == (True, len(DATA) + len(OTHER))
    assert stored.keys() == stored.asked("PUT") == []


def test_a_newer_version_overwrites_no_file(stored: Store, models: Path, place: str) -> None:
    """So whoever installs the older one at that time gets it whole."""
    luci_dl.push("o/a.gguf", to=LAB)
    luci_dl.remove("o/a.gguf")
    install(models, (OTHER[:-1], "o/a.gguf"), (OTHER, "o/a-mmproj.gguf"))
    luci_dl.push("o/a.gguf", to=LAB)
    assert stored.get(f"{place}/{digest_of(DATA)}/a.gguf") == DATA
    assert [entry["sha256"] for entry in stored.manifest(place)["files"]] == [digest_of(OTHER[:-1]), digest_of(OTHER)]


def test_what_failed_in_the_middle_left_no_manifest(stored: Store, place: str) -> None:
    """And goes on with the files that are missing."""
    stored.refuse = lambda call: "SlowDown" if call.method == "PUT" and "mmproj" in call.path else None
    with pytest.raises(ResolveError):
        luci_dl.push("o/a.gguf", to=LAB)
    assert stored.keys() == [f"{place}/{digest_of(DATA)}/a.gguf"]
    stored.refuse = lambda _call: None
    assert luci_dl.push("o/a.gguf", to=LAB)[0].copied == len(OTHER)


def test_a_touched_file_is_hashed_first(stored: Store, models: Path) -> None:
    """One that has changed is not sent."""
    os.utime(models / "o/a.gguf", (1, 1))
    assert luci_dl.push("o/a.gguf", to=LAB)[0].outcome == "pushed"
    (models / "o/a.gguf").write_bytes(DATA[:-1] + b"!")
    stored.calls.clear()
    with pytest.raises(IntegrityError, match="has changed"):
        luci_dl.push("o/a.gguf", to="s3://models/other")
    assert not stored.calls


@pytest.mark.parametrize("change", ["other bytes", "shorter"])
def test_a_file_that_changes_meanwhile_is_not_completed(
    stored: Store, models: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What is sent is hashed once more; neither the file nor a manifest is in the store."""
    size_of, path = objects.size_of, models / "o/a.gguf"

    def then_change(url: str) -> int | None:
        path.write_bytes(DATA[:-1] + b"!" if change == "other bytes" else DATA[:-1])
        return size_of(url)

    monkeypatch.setattr(objects, "size_of", then_change)
    with pytest.raises(IntegrityError, match="has changed"):
        luci_dl.push("o/a.gguf", to=LAB)
    assert stored.keys() == []
    assert stored.unfinished() == 0


def test_another_model_at_the_place_stays(stored: Store, models: Path, place: str) -> None:
    """Unless it has the same files."""
    luci_dl.push("o/a.gguf", to=LAB)
    lying = stored.get(f"{place}/luci.json").replace(b'"reference": "', b'"reference": "x')
    stored.put(f"{place}/luci.json", lying)
    assert luci_dl.push("o/a.gguf", to=LAB)[0].outcome == "pushed"
    stored.put(f"{place}/luci.json", lying.replace(digest_of(DATA).encode(), digest_of(b"").encode()))
    with pytest.raises(IntegrityError, match="another model"):
        luci_dl.push("o/a.gguf", to=LAB)


def test_the_small_files_go_too(stored: Store, models: Path, tmp_path: Path) -> None:
    """So that what is installed from the bucket can be linked to Ollama."""
    where = staging_for(models, "o/a.gguf").receipt
    kept = {f"sha256:{digest_of(b'hi')}": base64.b64encode(b"hi").decode()}
    known = receipt.read(where)
    assert known
    where.write_text(where.read_text().replace('"kept": {}', f'"kept": {{"sha256:{digest_of(b"hi")}": "aGk="}}'))
    (pushed,) = luci_dl.push("o/a.gguf", to=LAB)
    luci_dl.install(pushed.folder, folder=tmp_path / "new")
    new = receipt.read(staging_for(tmp_path / "new", "o/a.gguf").receipt)
    assert new
    assert new.kept == kept


def test_cancelled_it_ends_soon_and_leaves_nothing(
    stored: Store, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No parts of an object either, and no manifest."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    big = DATA * 1024
    install(models, (big, "big.gguf"))
    token = CancelToken()

    def emit(event: Event) -> None:
        if isinstance(event, Uploading) and event.done > 6 << 20:
            token.cancel()

    with pytest.raises(Interrupted):
        luci_dl.push("big.gguf", to=LAB, token=token, emit=emit)
    assert stored.keys() == []
    assert stored.unfinished() == 0


def test_a_store_that_does_not_answer_is_left(stored: Store, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word about what may stay there."""
    monkeypatch.setattr("luci_dl.transport.push.ABORT_S", 0.1)
    release, token, events = threading.Event(), CancelToken(), list[Event]()

    def stall(call: Call) -> None:
        if call.method == "PUT":
            token.cancel()
            release.wait()

    stored.refuse = stall
    with pytest.raises(Interrupted):
        luci_dl.push("o/a.gguf", to=LAB, token=token, emit=events.append)
    release.set()
    assert isinstance(events[-1], Warned)
    assert "AbortIncompleteMultipartUpload" in events[-1].message


def test_pushed_side_by_side_it_is_whole(stored: Store, place: str) -> None:
    ended: list[str] = []
    threads = [
        threading.Thread(target=lambda: ended.append(luci_dl.push("o/a.gguf", to=LAB)[0].outcome)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 3
    assert len(stored.keys()) == 3
    assert luci_dl.push("o/a.gguf", to=LAB)[0].outcome == "already"


@pytest.mark.parametrize(
    ("variables", "to", "expected"),
    [
        ({}, "s3://none/lab", NotFound),
        ({}, "/media/usb", UsageError),
        ({"AWS_SKIP_SIGNATURE": "true"}, LAB, ResolveError),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, LAB, ResolveError),
        ({"AWS_ENDPOINT_URL": "http://store.example"}, LAB, UsageError),
        ({"HF_HUB_OFFLINE": "1"}, LAB, NetworkError),
    ],
)
def test_what_cannot_be_is_refused(
    stored: Store, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], to: str, expected: type[Exception]
) -> None:
    """Before anything is sent."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(expected):
        luci_dl.push("o/a.gguf", to=to)
    assert stored.keys() == stored.asked("PUT") == []
