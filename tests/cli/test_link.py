"""`luci link` and `unlink`: one copy for several programs, all names or none, and nothing foreign is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import DATA, OTHER, Shop, assert_refused, sha256
from tests.procs import files_left, luci
from tests.servers.hub import Hub

REPO = "me/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that stands in for the real one."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the Hub's own tools, which does not exist yet."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tool(code: str, *arguments: str) -> str:
    """What a program that uses the real huggingface_hub, offline, prints."""
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run([sys.executable, "-c", code, *arguments], env=offline, text=True, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def linked(home: Path) -> list[str]:
    """What `luci link --list` says of each link: the program, and how many names are wrong."""
    rows = json.loads(luci("link", "--list", "--json").stdout)
    return [f"{row['target']} {len(row['problems'])}" for row in rows]


# --- the cache of the Hub's own tools


def test_the_real_huggingface_hub_finds_what_is_linked(hub: Hub, cache: Path, models: Path) -> None:
    """Offline, by the name of the repository; its scan of the cache finds nothing wrong, and no byte is there twice."""
    repo = hub.add(REPO, {"see-Q4_K_M.gguf": DATA, "sub/mmproj-F16.gguf": OTHER, "config.json": b"{}"})
    assert luci("install", "hf:me/model", "--all-files").returncode == 0
    ended = luci("link", "hf", "hf:me/model")
    assert ended.returncode == 0, ended.stderr
    find = "import sys; from huggingface_hub import *; print(hf_hub_download(sys.argv[1], sys.argv[2]))"
    for name in ("see-Q4_K_M.gguf", "sub/mmproj-F16.gguf", "config.json"):
        found = Path(tool(find, REPO, name))
        assert found == cache / f"models--me--model/snapshots/{repo.commit('main')}" / name
        assert found.read_bytes() == (models / REPO / name).read_bytes()
        assert os.path.samefile(found, models / REPO / name)
    scan = "from huggingface_hub import *; i = scan_cache_dir(); print(len(i.warnings), len(i.repos), i.size_on_disk)"
    assert tool(scan) == f"0 1 {len(DATA) + len(OTHER) + 2}"
    assert linked(cache) == ["hf 0"]


def test_the_hub_s_own_verification_agrees(hub: Hub, cache: Path) -> None:
    """`hf cache verify` compares each file with the Hub."""
    hub.add(REPO, {"see-Q4_K_M.gguf": DATA, "config.json": b"{}"})
    assert luci("install", "hf:me/model", "--all-files").returncode == 0
    assert luci("link", "hf", "hf:me/model").returncode == 0
    hf = Path(sys.executable).with_name("hf")
    ended = subprocess.run([hf, "cache", "verify", REPO], text=True, capture_output=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_model_of_the_catalog_is_linked_by_the_commit_that_the_hub_said(
    hub: Hub, cache: Path, shop: Shop, models: Path
) -> None:
    """Its address names the branch alone."""
    repo = hub.add(REPO, {"m.gguf": DATA})
    url = f"{hub.endpoint}/{REPO}/resolve/main/m.gguf"
    shop.file.write_text(
        f'[[model]]\nname = "m"\n[[model.file]]\nfilename = "m.gguf"\nurl = "{url}"\nsha256 = "{sha256(DATA)}"'
    )
    assert luci("install", "m").returncode == 0
    assert luci("link", "hf", "m", "--offline").returncode == 0
    assert (cache / "models--me--model/refs/main").read_text() == repo.commit("main")


def test_a_link_keeps_its_name_when_the_model_is_moved(
    hub: Hub, cache: Path, ollama: Path, shop: Shop, tmp_path: Path
) -> None:
    """Although the receipt alone does not say where on the Hub the file is: it came from another disk."""
    hub.add(REPO, {"m-Q4_K_M.gguf": DATA})
    url = f"https://huggingface.co/{REPO}/resolve/main/m-Q4_K_M.gguf"
    file = f'filename = "m.gguf"\nurl = "{url}"\ncommit = "{"a" * 40}"\nsha256 = "{sha256(DATA)}"\nsize = {len(DATA)}'
    shop.file.write_text(f'[[model]]\nname = "m"\n[[model.file]]\n{file}')
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb/m.gguf").write_bytes(DATA)
    assert luci("install", "m", "--from", f"{tmp_path}/usb", "--offline").returncode == 0
    assert luci("link", "hf", "m").returncode == 0
    assert luci("link", "ollama", "m").returncode == 0
    before = [(row["target"], row["name"]) for row in json.loads(luci("link", "--list", "--json").stdout)]
    assert before[1] == ("ollama", "hf.co/me/model:Q4_K_M")
    assert luci("move", "m", "--to", f"{tmp_path}/other").returncode == 0
    after = json.loads(luci("link", "--list", "--json").stdout)
    assert [(row["target"], row["name"]) for row in after] == before
    assert [row["problems"] for row in after] == [[], []]


def test_a_ref_of_another_program_stays(hub: Hub, cache: Path) -> None:
    """The snapshot is linked all the same, and luci says so."""
    hub.add(REPO, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    ref = cache / "models--me--model/refs/main"
    ref.parent.mkdir(parents=True)
    ref.write_text("b" * 40)
    ended = luci("link", "hf", "hf:me/model")
    assert (ended.returncode, "stays at" in ended.stderr, ref.read_text()) == (0, True, "b" * 40)
    assert luci("unlink", "hf", "hf:me/model").returncode == 0
    assert ref.read_text() == "b" * 40
    assert not list(cache.rglob("*.gguf"))


def test_a_blob_that_another_snapshot_needs_stays(hub: Hub, cache: Path) -> None:
    """Another program made a snapshot that points to it."""
    hub.add(REPO, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    assert luci("link", "hf", "hf:me/model").returncode == 0
    other = cache / "models--me--model/snapshots" / ("c" * 40) / "m.gguf"
    other.parent.mkdir()
    other.symlink_to(f"../../blobs/{sha256(DATA)}")
    ended = luci("unlink", "hf", "hf:me/model")
    assert (ended.returncode, "stays" in ended.stderr, other.read_bytes()) == (0, True, DATA)


def test_a_model_that_is_not_from_the_hub_is_refused(shop: Shop, cache: Path) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", "hf", "m"), 3, "not known to be on the Hub")
    assert not cache.exists()


# --- folders, LM Studio, llama-server


def test_flat_stays_flat_and_several_files_share_a_folder(shop: Shop, tmp_path: Path) -> None:
    shop.sell("one")
    shop.sell("set", files=["set-1.gguf", "set-proj.gguf"])
    assert luci("install", "one", "set").returncode == 0
    assert luci("link", f"{tmp_path}/other/", "one", "set").returncode == 0
    assert files_left(tmp_path / "other") == ["one.gguf", "set/", "set/set-1.gguf", "set/set-proj.gguf"]


def test_lm_studio_gets_two_folders(shop: Shop, tmp_path: Path) -> None:
    """If it is there at all."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", "lmstudio", "m"), 6, "LM Studio is not there")
    (tmp_path / "user/.lmstudio").mkdir(parents=True)
    assert luci("link", "lmstudio", "m").returncode == 0
    assert (tmp_path / "user/.lmstudio/models/luci/m/m.gguf").read_bytes() == DATA


def test_llama_server_gets_a_preset_and_keeps_what_the_user_wrote(shop: Shop, home: Path, models: Path) -> None:
    shop.sell("m", files=["m.gguf", "m-proj.gguf"])
    assert luci("install", "m").returncode == 0
    file = home / "llama-server.ini"
    assert f"--models-preset {file}" in luci("link", "llama-server", "m").stdout
    assert file.read_text() == f"version = 1\n\n[m]\nmodel = {models}/m.gguf\nmmproj = {models}/m-proj.gguf\n"
    file.write_text(file.read_text() + "\n[mine]\nmodel = /x.gguf\n")
    assert luci("unlink", "llama-server", "m").returncode == 0
    assert file.read_text() == "version = 1\n\n[mine]\nmodel = /x.gguf\n"
    shop.sell("mine")
    assert luci("install", "mine").returncode == 0
    assert_refused(luci("link", "llama-server", "mine"), 5, "section [mine]")


def test_a_preset_follows_a_move(shop: Shop, home: Path, tmp_path: Path) -> None:
    """Another model's section, and one that the user wrote, stay."""
    shop.sell("m")
    shop.sell("other")
    assert luci("install", "m", "other", "--link", "llama-server").returncode == 0
    file = home / "llama-server.ini"
    file.write_text(file.read_text() + "\n[mine]\nmodel = /x.gguf\n")
    others = file.read_text().partition("[other]")[2]
    ended = luci("move", "m", "--to", f"{tmp_path}/big")
    assert (ended.returncode, "not renewed" in ended.stderr) == (0, False), ended.stderr
    assert file.read_text() == f"version = 1\n\n[m]\nmodel = {tmp_path}/big/m.gguf\n\n[other]{others}"
    assert luci("link", "--list", "--json").stdout.count('"problems": []') == 2


@pytest.mark.parametrize(("how", "kind"), [("hardlink", "same"), ("symlink", "link"), ("copy", "copy")])
def test_how_decides_how_bytes_are_shared(shop: Shop, models: Path, tmp_path: Path, how: str, kind: str) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("link", f"{tmp_path}/other/", "m", "--how", how).returncode == 0
    there = tmp_path / "other/m.gguf"
    is_same = os.path.samefile(there, models / "m.gguf")
    found = "link" if there.is_symlink() else "same" if is_same else "copy"
    assert (found, there.read_bytes()) == (kind, DATA)
    assert luci("unlink", f"{tmp_path}/other/", "m").returncode == 0
    assert not os.path.lexists(there)


# --- links follow their model


def test_an_install_links_and_remove_unlinks(shop: Shop, models: Path, tmp_path: Path) -> None:
    """By the option, and by the setting."""
    shop.sell("m")
    assert luci("install", "m", "--link", f"{tmp_path}/one/").returncode == 0
    assert luci("config", "set", "links", f"{tmp_path}/two/").returncode == 0
    assert luci("install", "m").returncode == 0
    assert [(tmp_path / name / "m.gguf").read_bytes() for name in ("one", "two")] == [DATA, DATA]
    dry = luci("remove", "m", "--dry-run")
    real = luci("remove", "m", "--yes")
    assert (real.returncode, real.stdout.count("Unlinked m")) == (0, 2)
    assert dry.stdout.replace("Would unlink", "Unlinked").replace("Would remove", "Removed") == real.stdout
    assert files_left(tmp_path / "one") == files_left(tmp_path / "two") == []
    assert luci("link", "--list", "--json").stdout == "[]\n"


def test_the_setting_counts_for_all_that_installs(
    shop: Shop, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upgrade, repair, a forced install and import link as install does, and say so in their events."""
    newer, linked = make_gguf(300_000, seed=7), tmp_path / "linked/m.gguf"
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("export", "m", f"{tmp_path}/stick").returncode == 0
    assert luci("config", "set", "links", f"{tmp_path}/linked/").returncode == 0

    def links(*args: str, data: bytes) -> None:
        ended = luci(*args, "--json")
        assert ended.returncode == 0, ended.stderr
        assert '"event": "linked"' in ended.stdout
        assert linked.read_bytes() == data
        assert luci("unlink", f"{tmp_path}/linked/", "m").returncode == 0
        assert not linked.exists()

    links("import", f"{tmp_path}/stick", data=DATA)  # it is there already, as for an install
    shop.sell("m", newer)
    links("upgrade", "m", data=newer)
    links("install", "m", "--force", data=newer)
    (models / "m.gguf").write_bytes(OTHER)
    links("verify", "m", "--repair", data=newer)
    assert luci("remove", "m", "--yes").returncode == 0
    links("import", f"{tmp_path}/stick", data=DATA)


def test_a_link_that_cannot_be_made_has_the_same_exit_code_everywhere(shop: Shop, models: Path, tmp_path: Path) -> None:
    """The model is installed all the same; a program that is not there is refused before anything is changed."""
    taken = tmp_path / "linked/m.gguf"
    taken.parent.mkdir()
    taken.write_bytes(b"mine")
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("export", "m", f"{tmp_path}/stick").returncode == 0
    assert luci("config", "set", "links", "ollama").returncode == 0
    shop.sell("m", OTHER)
    for words in (["install", "m", "--force"], ["upgrade", "m"], ["import", f"{tmp_path}/stick"]):
        assert_refused(luci(*words), 6, "Ollama is not there")
    assert (models / "m.gguf").read_bytes() == DATA
    assert luci("config", "set", "links", f"{taken.parent}/").returncode == 0
    for words in (
        ["upgrade", "m"],
        ["install", "m", "--force"],
        ["import", f"{tmp_path}/stick", "--dir", f"{tmp_path}/x"],
    ):
        ended = luci(*words)
        assert (ended.returncode, "m is installed, but not linked to" in ended.stderr) == (5, True), ended.stderr
        assert taken.read_bytes() == b"mine"
    assert ((models / "m.gguf").read_bytes(), (tmp_path / "x/m.gguf").read_bytes()) == (OTHER, DATA)


def test_a_model_that_shares_all_its_files_is_linked(shop: Shop, tmp_path: Path) -> None:
    """Its receipt names the other model, under which it is linked."""
    shop.sell("one", files=["a.gguf"])
    shop.sell("two", files=["a.gguf"])
    assert luci("install", "one").returncode == 0
    ended = luci("install", "two", "--link", f"{tmp_path}/linked/")
    assert (ended.returncode, "Linked one" in ended.stdout) == (0, True), ended.stderr
    assert (tmp_path / "linked/a.gguf").read_bytes() == DATA


def test_a_program_that_is_not_there_fails_before_the_first_byte(shop: Shop, models: Path) -> None:
    shop.sell("m")
    assert_refused(luci("install", "m", "--link", "ollama"), 6, "Ollama is not there")
    assert_refused(luci("install", "m", "--link", "olama"), 2, "did you mean ollama?")
    assert not models.exists()


def test_a_link_follows_a_new_version(shop: Shop, tmp_path: Path) -> None:
    """A hard link would keep the old bytes."""
    shop.sell("m")
    assert luci("install", "m", "--link", f"{tmp_path}/other/").returncode == 0
    newer = make_gguf(300_000, seed=7)
    shop.sell("m", newer)
    assert luci("install", "m", "--force").returncode == 0
    assert (tmp_path / "other/m.gguf").read_bytes() == newer
    assert luci("link", "--list", "--json").stdout.count('"problems": []') == 1


def test_what_replaced_a_link_is_not_removed(shop: Shop, tmp_path: Path) -> None:
    """Somebody put a file of their own there."""
    shop.sell("m")
    assert luci("install", "m", "--link", f"{tmp_path}/other/").returncode == 0
    there = tmp_path / "other/m.gguf"
    there.unlink()
    there.write_bytes(b"mine")
    assert "is not what luci made there" in luci("link", "--list").stdout
    assert luci("unlink", f"{tmp_path}/other", "m").returncode == 0
    assert there.read_bytes() == b"mine"


# --- all or none


def test_a_name_that_is_taken_leaves_everything_as_it_was(shop: Shop, tmp_path: Path) -> None:
    """For all models of the command."""
    shop.sell("one")
    shop.sell("two")
    assert luci("install", "one", "two").returncode == 0
    taken = tmp_path / "other/two.gguf"
    taken.parent.mkdir()
    taken.write_bytes(b"theirs")
    assert_refused(luci("link", f"{tmp_path}/other", "one", "two"), 5, "two.gguf exists")
    assert files_left(tmp_path / "other") == ["two.gguf"]
    assert luci("link", "--list", "--json").stdout == "[]\n"


def test_a_dry_run_changes_nothing(shop: Shop, tmp_path: Path, home: Path) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    before = files_left(home)
    assert "Would link m" in luci("link", f"{tmp_path}/other/", "m", "--dry-run").stdout
    assert (files_left(home), (tmp_path / "other").exists()) == (before, False)


@pytest.mark.parametrize(
    ("words", "code", "texts"),
    [
        (["olama", "m"], 2, ["did you mean ollama?"]),
        (["hf"], 2, ["give a program and a model"]),
        (["hf", "nosuch"], 3, ["there is no model"]),
        (["ollama", "m", "--how", "steal"], 2, ["reflink"]),
        (["ollama", "m", "--as", "a b"], 2, ["not a valid MODEL"]),
        (["--list", "hf"], 2, ["takes no words"]),
    ],
)
def test_bad_words_get_one_clear_message(
    shop: Shop, ollama: Path, words: list[str], code: int, texts: list[str]
) -> None:
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", *words), code, *texts)
    assert files_left(ollama) == []
