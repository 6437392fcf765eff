"""`luci list --everywhere`: what all programs hold, and which bytes lie there twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import Shop, assert_refused, sha256
from tests.procs import luci

DATA = make_gguf(2 << 20)
OTHER = make_gguf(2 << 20, seed=1)
UNKNOWN = ("LM Studio me/model/m.gguf", "GPT4All other.gguf")
"""Programs that keep no digests."""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The user's home directory."""
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def in_ollama(root: Path, name: str, data: bytes) -> Path:
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{sha256(data)}", "size": len(data)}
    ]
    put(root / "manifests/registry.ollama.ai/library" / name, json.dumps({"layers": layers}).encode())
    return put(root / "blobs" / f"sha256-{sha256(data)}", data)


def in_hub(cache: Path, repo: str, name: str, data: bytes) -> Path:
    folder = cache / f"models--{repo.replace('/', '--')}"
    put(folder / "blobs" / sha256(data), data)
    pointer = folder / "snapshots" / ("a" * 40) / name
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(f"../../blobs/{sha256(data)}")
    return pointer


def rows() -> dict[str, dict[str, Any]]:
    """What is said of each file, by program and name."""
    ended = luci("list", "--everywhere", "--json")
    assert ended.returncode == 0, ended.stderr
    return {f"{row['program']} {row['name']}": row for row in json.loads(ended.stdout)}


def test_every_program_is_looked_into(shop: Shop, user: Path, models: Path) -> None:
    """Names as the programs call them; digests from names, manifests and notes."""
    shop.sell("m", DATA)
    assert luci("install", "m").returncode == 0
    in_ollama(user / ".ollama/models", "llama3.2/1b", DATA)
    in_hub(user / ".cache/huggingface/hub", "me/model", "m.gguf", DATA)
    put(user / ".lmstudio/models/me/model/m.gguf", DATA)
    put(user / ".local/share/nomic.ai/GPT4All/other.gguf", OTHER)
    put(user / ".local/share/Jan/data/llamacpp/models/me/m/model.gguf", DATA)
    put(user / ".local/share/Jan/data/llamacpp/models/me/m/model.yml", f"model_sha256: {sha256(DATA)}\n".encode())
    put(user / ".docker/models/blobs/sha256" / sha256(DATA), DATA)
    listed = {"models": [{"id": "sha256:1", "tags": ["ai/m:latest"], "files": [f"sha256:{sha256(DATA)}"]}]}
    put(user / ".docker/models/models.json", json.dumps(listed).encode())
    found = rows()
    assert set(found) == {
        "luci m", "Ollama llama3.2:1b", "Hugging Face me/model/m.gguf", "LM Studio me/model/m.gguf",
        "GPT4All other.gguf", "Jan me/m", "Docker ai/m:latest",
    }  # fmt: skip
    assert len(found["luci m"]["twice"]) == 4
    assert found["LM Studio me/model/m.gguf"]["sha256"] is None
    assert found["luci m"]["perhaps"] == [found[name]["path"] for name in UNKNOWN]
    for name in UNKNOWN:  # the size is the same
        assert (len(found[name]["twice"]), len(found[name]["perhaps"])) == (0, 6)
    shown = luci("list", "--everywhere")
    assert f"At most {4 * len(DATA) / 1e6:.1f}MB could be saved" in shown.stderr
    assert f"Perhaps {2 * len(DATA) / 1e6:.1f}MB more" in shown.stderr
    assert "luci link" in shown.stderr
    assert "perhaps twice: luci" in shown.stdout


def test_what_is_linked_takes_no_room(shop: Shop, user: Path) -> None:
    """One file under several names."""
    (user / ".ollama").mkdir()
    shop.sell("m", DATA)
    assert luci("install", "m", "--link", "ollama").returncode == 0
    found = rows()
    assert (len(found["luci m"]["shared"]), found["luci m"]["twice"]) == (1, [])
    assert "could be saved" not in luci("list", "--everywhere").stderr


def test_names_of_one_file_are_shared_whatever_they_are(shop: Shop, user: Path, models: Path) -> None:
    """A hard link and a symlink take no room; what one name says of the digest holds for all."""
    shop.sell("m", DATA)
    assert luci("install", "m").returncode == 0
    linked = user / ".lmstudio/models/me/model/other-name.gguf"
    linked.parent.mkdir(parents=True)
    linked.hardlink_to(models / "m.gguf")
    pointer = user / ".local/share/nomic.ai/GPT4All/pointer.gguf"
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(models / "m.gguf")
    found = rows()
    assert found["luci m"]["shared"] == [str(linked), str(pointer)]
    assert {row["sha256"] for row in found.values()} == {sha256(DATA)}
    assert not any(row["twice"] or row["perhaps"] for row in found.values())
    assert "could be saved" not in luci("list", "--everywhere").stderr


def test_a_changed_file_has_no_known_digest(shop: Shop, user: Path, models: Path) -> None:
    """Its receipt speaks of other bytes; a file of which only the time is another still counts."""
    shop.sell("m", DATA)
    assert luci("install", "m").returncode == 0
    in_ollama(user / ".ollama/models", "m/latest", DATA)
    os.utime(models / "m.gguf", ns=(1, 1))
    assert len(rows()["luci m"]["twice"]) == 1
    (models / "m.gguf").write_bytes(DATA + b"more")
    found = rows()
    assert (found["luci m"]["sha256"], found["luci m"]["twice"], found["luci m"]["perhaps"]) == (None, [], [])


def test_ollama_has_two_folders_of_manifests_and_four_levels(user: Path) -> None:
    """Names as Ollama shows them; of a manifest elsewhere it knows nothing, and luci neither."""
    root = user / ".ollama/models"
    in_ollama(root, "m/latest", DATA)
    known = (root / "manifests/registry.ollama.ai/library/m/latest").read_bytes()
    for name in ("manifests-v2/ollama.com/me/mine/tag", "manifests/hf.co/o/r/Q4_K_M", "manifests/x", "manifests/a/b/c"):
        put(root / name, known)
    found = rows()
    assert set(found) == {"Ollama m:latest", "Ollama me/mine:tag", "Ollama hf.co/o/r:Q4_K_M"}
    assert not any(row["twice"] or row["shared"] for row in found.values())


def test_a_folder_that_cannot_be_read_is_reported_once(user: Path) -> None:
    """The others are listed all the same."""
    put(user / ".local/share/nomic.ai/GPT4All/g.gguf", DATA)
    hub = user / ".cache/huggingface/hub"
    hub.parent.mkdir(parents=True)
    hub.symlink_to(hub)
    ended = luci("list", "--everywhere")
    assert ended.returncode == 0
    assert "g.gguf" in ended.stdout
    assert ended.stderr.count(f"cannot read {hub}") == 1


def test_options_for_the_catalog_are_refused(user: Path) -> None:
    """They are about other models."""
    assert_refused(luci("list", "--everywhere", "--available"), 2, "--everywhere")
    assert_refused(luci("list", "--everywhere", "--tier", "1"), 2, "--everywhere")


def test_nothing_is_read_but_names_and_notes(shop: Shop, user: Path) -> None:
    """Damaged notes are no error."""
    put(user / ".ollama/models/manifests/h/n/m/t", b"[" * 5000)
    put(user / ".ollama/models/manifests/h/n/m/u", b'{"layers": [5, {"digest": 7}]}')
    put(user / ".docker/models/models.json", b'{"models": {"a": 1}}')
    put(user / ".local/share/Jan/data/llamacpp/models/x/model.yml", b"\xff\xfe")
    ended = luci("list", "--everywhere")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "No program" in ended.stderr


@pytest.mark.parametrize("program", ["lmstudio", "gpt4all", "jan", "docker", "llama"])
def test_an_install_finds_its_copy_there(
    shop: Shop, user: Path, models: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """No byte comes from the server."""
    shop.sell("m", DATA)
    jan = user / ".local/share/Jan/data/llamacpp/models/me/m"
    match program:
        case "lmstudio":
            put(user / ".lmstudio/models/me/model/m.gguf", DATA)
        case "gpt4all":
            put(user / ".local/share/nomic.ai/GPT4All/m.gguf", DATA)
        case "jan":
            put(jan / "model.gguf", DATA)
            put(jan / "model.yml", f'name: m\nmodel_sha256: "{sha256(DATA)}"\n'.encode())
        case "docker":
            put(user / ".docker/models/blobs/sha256" / sha256(DATA), DATA)
        case "llama":
            monkeypatch.setenv("LLAMA_CACHE", str(user / "llama"))
            in_hub(user / "llama", "me/model", "m.gguf", DATA)
    ended = luci("install", "m", "--offline")
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA
