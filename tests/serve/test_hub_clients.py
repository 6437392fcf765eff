"""The Hub's real client downloads from `luci serve`; what it asks, and what llama.cpp asks, is recorded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.sources.selection import FileSelection
from tests.procs import wait_until
from tests.serve.lab import Lab, installed_names, open_hub, unfinished
from tests.servers.hub import Hub, blob_sha1

MODEL = make_gguf(3_000_000)
FILES = {"tiny-Q4_K_M.gguf": MODEL, "README.md": b"# tiny\n", "config.json": b'{"a": 1}', "sub dir/\u00e4.txt": b"x"}
RECORDED: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("conversations.json").read_text())
"""By the client and what it did: its requests in their order, each with the headers that matter, the status, and the
headers of the response that the client uses."""
SNAPSHOT = "hf 2.4.0 downloads a repository"

needs_client = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """With one repository, also in Xet's store."""
    with open_hub(monkeypatch) as hub:
        hub.xet = True
        hub.add("me/tiny", FILES)
        yield hub


def commit_of(hub: Hub) -> str:
    return hub.repos["me/tiny"].commit("main") or ""


def download(lab: Lab, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`hf download` of the repository, or of files of it, into an empty cache."""
    environment = os.environ | {"HF_ENDPOINT": lab.address, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [str(Path(sys.executable).with_name("hf")), "download", "me/tiny", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)


def downloaded(home: Path) -> dict[str, bytes]:
    (snapshot,) = (home / "hub/models--me--tiny/snapshots").iterdir()
    paths = [path for path in snapshot.rglob("*") if path.is_file()]
    return {path.relative_to(snapshot).as_posix(): path.read_bytes() for path in paths}


@needs_client
def test_the_real_client_downloads_cold_warm_and_without_the_hub(
    lab: Lab, hub: Hub, models: Path, tmp_path: Path
) -> None:
    """The model crosses the uplink once; what is not there is an error that names the Hub."""
    for home in (tmp_path / "cold", tmp_path / "warm"):
        ended = download(lab, home)
        assert (ended.returncode, downloaded(home)) == (0, FILES), ended.stderr
    assert [seen.method for seen in hub.seen("store")] == ["GET"]
    hub.gone = True
    ended = download(lab, tmp_path / "gone")
    assert (ended.returncode, downloaded(tmp_path / "gone")) == (0, FILES), ended.stderr
    assert download(lab, tmp_path / "other", "--revision", "v2").returncode != 0
    assert (installed_names(models), unfinished(models)) == (["tiny-Q4_K_M.gguf"], [])


@needs_client
def test_the_real_client_asks_what_was_recorded(lab: Lab, hub: Hub, tmp_path: Path) -> None:
    """If not, it has changed: look at what it asks now, and record it anew."""
    assert download(lab, tmp_path / "hf").returncode == 0
    asked = {each.replace(commit_of(hub), "{commit}") for each in lab.asked}
    assert asked == {each["request"] for each in RECORDED[SNAPSHOT]}


@needs_client
def test_the_real_client_has_no_whole_file_when_the_hub_sends_wrong_bytes(
    lab: Lab, hub: Hub, models: Path, tmp_path: Path
) -> None:
    """It checks the size alone; nothing is left here."""
    hub.repos["me/tiny"].swapped["tiny-Q4_K_M.gguf"] = MODEL[:-1] + b"!"
    home = tmp_path / "hf"
    ended = download(lab, home, "tiny-Q4_K_M.gguf")
    assert ended.returncode != 0
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size == len(MODEL)]
    wait_until(lambda: unfinished(models) == [], what="the part to be removed")
    assert installed_names(models) == []


def test_luci_installs_from_it_as_from_the_hub(
    lab: Lab, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HF_ENDPOINT: the listing comes from there, too; also when the Hub has gone."""
    monkeypatch.setenv("HF_ENDPOINT", lab.address)
    for number in range(2):
        monkeypatch.setenv("LUCI_HOME", str(tmp_path / f"home{number}"))
        paths = luci_dl.install("hf:me/tiny", selection=FileSelection(all_files=True), folder=tmp_path / f"m{number}")
        assert {path.name: path.read_bytes() for path in paths} == {Path(name).name: FILES[name] for name in FILES}
        hub.gone = True
    assert [seen.method for seen in hub.seen("store")] == ["GET"]


@pytest.mark.parametrize("client", RECORDED)
@pytest.mark.parametrize("hub_is_gone", [False, True])
def test_recorded_conversations_are_answered_as_before(lab: Lab, hub: Hub, client: str, hub_is_gone: bool) -> None:
    """With the headers that the clients use; also when the Hub has gone after the first time."""
    digest = hashlib.sha256(MODEL).hexdigest()
    facts = {"commit": commit_of(hub), "sha256": digest, "blob": blob_sha1(FILES["config.json"]), "size": len(MODEL)}
    for _ in range(1 + hub_is_gone):
        for each in RECORDED[client]:
            method, target = _filled(each["request"], facts).split()
            answer = lab.ask(method, target, each.get("body"), **each.get("headers", {}))
            found = {name: answer.headers[name] for name in each.get("needs", {})}
            assert (answer.status, found) == (
                each["status"],
                {name: _filled(text, facts) for name, text in each.get("needs", {}).items()},
            ), target
            assert not {"Location", "Link", "X-Xet-Hash"} & set(answer.headers)
        hub.gone = hub_is_gone


def _filled(text: str, facts: dict[str, object]) -> str:
    for name, value in facts.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
