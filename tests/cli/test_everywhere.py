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
    put(user / ".cache/llama.cpp/me_model_m.gguf", OTHER + b"more")
    found = rows()
    assert set(found) == {
        "luci m", "Ollama llama3.2:1b", "Hugging Face me/model/m.gguf", "LM Studio me/model/m.gguf",
        "GPT4All other.gguf", "Jan me/m", "Docker ai/m:latest",
        "llama.cpp me_model_m.gguf",
    }  # fmt: skip
    assert len(found["luci m"]["twice"]) == 4
    assert found["LM Studio me/model/m.gguf"]["sha256"] is None
    assert found["luci m"]["perhaps"] == [found[name]["path"] for name in UNKNOWN]
    for name in UNKNOWN:  # the size is the same
        assert (len(found[name]["twice"]), len(found[name]["perhaps"])) == (0, 6)
    shown = luci("list", "--everywhere")
    assert f"Up to {4 * len(DATA) / 1e6:.1f}MB could be saved" in shown.stderr
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


@pytest.mark.parametrize(
    "program", ["lmstudio", "gpt4all", "jan", "docker", "llama", "flat", "flat-default", "no-links"]
)
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
        case "flat":
            monkeypatch.setenv("LLAMA_CACHE", str(user / "llama"))
            put(user / "llama/ME_Model_M.gguf", DATA)
            put(user / "llama/ME_Model_M.gguf.etag", b"etag")
        case "flat-default":
            put(user / ".cache/llama.cpp/ME_Model_M.gguf", DATA)
            put(user / ".cache/llama.cpp/ME_Model_M.gguf.json", b"[")
        case "no-links":
            put(user / ".cache/huggingface/hub/models--me--model/snapshots/abc/m.gguf", DATA)
    ended = luci("install", "m", "--offline")
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA


def test_of_the_older_cache_of_llama_cpp_only_the_right_bytes_are_taken(
    shop: Shop, user: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the right name and size is proved; what is not whole, or is called otherwise, is not even read."""
    shop.sell("m", DATA)
    monkeypatch.setenv("LLAMA_CACHE", str(user / "llama"))
    put(user / "llama/a_b_m.gguf", OTHER)
    put(user / "llama/a_b_xm.gguf", OTHER)
    put(user / "llama/c_d_m.gguf.downloadInProgress", DATA)
    put(user / "llama/short_m.gguf", DATA[:-1])
    ended = luci("install", "m")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("has the wrong bytes") == 1
    assert f"{user}/llama/a_b_m.gguf has the wrong bytes" in ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA


def test_a_blob_of_another_size_is_not_the_same_bytes(user: Path) -> None:
    """Its name is a digest that it does not have: one of the two is damaged."""
    in_ollama(user / ".ollama/models", "m/latest", DATA)
    pointer = in_hub(user / ".cache/huggingface/hub", "me/model", "m.gguf", DATA)
    pointer.resolve().write_bytes(DATA + b"more")
    assert not any(row["twice"] or row["perhaps"] for row in rows().values())
    assert "could be saved" not in luci("list", "--everywhere").stderr


@pytest.mark.parametrize(
    "note", [b"[]", b'{"downloadsFolder": "/a\\u0000b"}', b'{"downloadsFolder": "/\\ud800"}', b"[" * 9999]
)
def test_settings_of_lm_studio_that_name_no_folder_are_passed_over(user: Path, note: bytes) -> None:
    """So is a pointer to its home."""
    put(user / ".lmstudio/settings.json", note)
    put(user / ".lmstudio-home-pointer", b"/a\0b")
    put(user / ".lmstudio/models/a/b/c.gguf", DATA)
    assert set(rows()) == {"LM Studio a/b/c.gguf"}


def test_strange_entries_stop_neither_the_list_nor_an_install(shop: Shop, user: Path, models: Path) -> None:
    """Loops, dangling symlinks, pipes in place of notes, and names with newlines or in no encoding."""
    hub = in_hub(user / ".cache/huggingface/hub", "me/model", "m.gguf", DATA)
    (hub.parent / "loop").symlink_to("loop")
    (hub.parent / "gone.gguf").symlink_to("../../blobs/gone")
    (hub.parent / "up").symlink_to("..")
    strange = user / ".cache/llama.cpp" / os.fsdecode(b"a_b_\xff\nm.gguf")
    put(strange, OTHER)
    (strange.parent / "x_m.gguf").symlink_to("x_m.gguf")
    (strange.parent / "y_m.gguf").mkdir()
    pipes = user / ".docker/models/models.json", user / ".local/share/Jan/data/llamacpp/models/a/model.yml"
    for pipe in (*pipes, user / ".ollama/models/manifests/a/b/c/d", user / ".lmstudio/settings.json"):
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
    found = rows()
    assert set(found) == {"Hugging Face me/model/m.gguf", f"llama.cpp {strange.name}"}
    shown = luci("list", "--everywhere")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 3)
    shop.sell("m", DATA)
    ended = luci("install", "m", "--offline")
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA


def test_what_is_no_plain_file_is_not_waited_for(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe where a program has its notes; notes that are not what that program writes."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    put(user / ".lmstudio/settings.json", b"[1]")
    for path in (
        user / ".docker/models/models.json",
        user / ".local/share/Jan/data/llamacpp/models/o/r/model.yml",
        user / ".lmstudio-home-pointer",
        tmp_path / "ollama/manifests/registry.ollama.ai/library/m/latest",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    ended = luci("list", "--everywhere", timeout=10)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
