"""Models linked to Ollama: the registry's own manifest or one made for them, read by Ollama's rules."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.install import companions
from luci_dl.library import runners
from luci_dl.library.installed import installed
from luci_dl.library.links.base import Question
from luci_dl.library.links.entries import How
from luci_dl.library.links.ollama import place
from luci_dl.library.links.ollama_service import unreadable
from tests import ollama_rules
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.docker_registry import docker_registry
from tests.formats.files import V3
from tests.procs import Spawned, files_left, lock_is_free, luci, wait_until
from tests.servers import faults
from tests.servers.hub import Hub
from tests.servers.registry import ADAPTER, MANIFEST, MODEL, PROJECTOR, TEMPLATE, Registry, digest_of, layer, manifest

LICENSE = "application/vnd.ollama.image.license"
PROMPT = b"{{ .Prompt }}"
M = "registry.ollama.ai/library/m/latest"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry in place of Ollama's, with the model `m`."""
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, PROMPT), (LICENSE, b"MIT"))
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        yield registry


def kept(models: Path, name: str = "m-latest.gguf") -> set[str]:
    """The digests of the small files, and the word for the manifest, that the model's receipt has."""
    return set(json.loads((models / f".luci/{name}.receipt").read_bytes())["kept"])


def files_of(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


# --- models of a registry


def test_a_model_of_a_registry_is_linked_by_the_registry_s_own_manifest(
    tmp_path: Path, models: Path, ollama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, with the small files that were kept at install: the registry is not asked again."""
    with docker_registry(tmp_path / "registry") as real:
        real.push("library/m", "1b", (TEMPLATE, PROMPT), (LICENSE, b"MIT"), (MODEL, DATA), (PROJECTOR, OTHER))
        monkeypatch.setenv("OLLAMA_REGISTRY", real.address)
        assert luci("install", "ollama:m:1b").returncode == 0
        theirs = urlopen(Request(f"{real.address}/v2/library/m/manifests/1b", headers={"Accept": MANIFEST})).read()
    ended = luci("link", "ollama", "ollama:m:1b")
    assert ended.returncode == 0, ended.stderr
    name = "registry.ollama.ai/library/m/1b"
    assert (ollama / "manifests" / name).read_bytes() == theirs
    layers = ollama_rules.listed(ollama)[name]
    assert layers | {"template": PROMPT, "license": b"MIT", "model": DATA, "projector": OTHER} == layers
    assert os.path.samefile(ollama_rules.blob(ollama, digest_of(DATA)), models / "m-1b.gguf")
    assert luci("unlink", "ollama", "m:1b").returncode == 0
    assert files_of(ollama) == []


def test_small_files_cost_one_request_each(registry: Registry) -> None:
    """And one more each at the store; what is installed already costs the manifest alone."""
    assert luci("install", "ollama:m").returncode == 0
    first = [request.target for request in registry.front.exchanges()]
    assert len(first) == len(set(first)) + 1  # the manifest, once without a token
    assert luci("install", "ollama:m").returncode == 0
    assert [request.target for request in registry.front.exchanges()][len(first) :] == [first[0]] * 2


@pytest.mark.parametrize("way", ["once lost", "adopted", "older receipt"])
def test_an_install_fetches_the_small_files_that_are_missing(
    registry: Registry, models: Path, ollama: Path, way: str
) -> None:
    """And nothing else."""
    receipt = models / ".luci/m-latest.gguf.receipt"
    if way == "once lost":
        registry.on_blob = [faults.ok(), faults.status(404)]
        ended = luci("install", "ollama:m")
        assert (ended.returncode, "could not be fetched" in ended.stderr) == (0, True)
        assert_refused(luci("link", "ollama", "ollama:m"), 3, "luci did not install (template)", "luci install")
        assert files_of(ollama) == []
        registry.on_blob = [faults.ok()]
    elif way == "adopted":
        models.mkdir(parents=True)
        (models / "m-latest.gguf").write_bytes(DATA)
    else:
        assert luci("install", "ollama:m").returncode == 0
        facts = json.loads(receipt.read_bytes())
        receipt.write_text(json.dumps({key: facts[key] for key in facts if key not in ("kept", "asked")} | {"v": 1}))
        assert "were not kept; with them: luci install" in luci("link", "ollama", "ollama:m").stderr
    before = len(registry.store.exchanges())
    assert luci("install", "ollama:m").returncode == 0
    targets = [request.target.partition("?")[0] for request in registry.store.exchanges()[before:]]
    assert f"/{digest_of(DATA)}" not in targets
    assert kept(models) == {"manifest", digest_of(PROMPT), digest_of(b"MIT"), digest_of(b"{}")}
    assert luci("link", "ollama", "ollama:m").returncode == 0
    assert (ollama / "manifests" / M).read_bytes() == registry.manifests["library/m", "latest"]
    assert ollama_rules.listed(ollama)[M]["template"] == PROMPT
    assert lock_is_free(models / ".luci/m-latest.gguf.lock")


def test_a_small_file_with_wrong_bytes_is_not_kept(registry: Registry, models: Path) -> None:
    """The model is installed all the same."""
    registry.on_blob = [faults.ok(), faults.flipped(0)]
    ended = luci("install", "ollama:m")
    assert (ended.returncode, "could not be fetched" in ended.stderr) == (0, True)
    assert kept(models) == {"manifest"}


def test_a_registry_that_hangs_at_the_end_costs_little(
    registry: Registry, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is complete then; the next install asks for the rest."""
    monkeypatch.setattr(companions, "_MOST_S", 0.3)
    registry.on_blob = [faults.ok(), faults.ok(), faults.stall_head()]
    began = time.monotonic()
    luci_dl.install("ollama:m")
    assert time.monotonic() - began < 10
    assert len(kept(models)) == 2
    registry.on_blob = [faults.ok()]
    luci_dl.install("ollama:m")
    assert len(kept(models)) == 4


def test_an_interrupt_while_small_files_are_fetched_ends_the_install(registry: Registry, models: Path) -> None:
    """Nothing is left of it."""
    registry.on_blob = [faults.ok(), faults.stall_head()]
    with Spawned("install", "ollama:m") as running:
        wait_until(lambda: len(registry.store.exchanges()) > 1)
        running.signal(signal.SIGINT)
        assert running.wait() == -signal.SIGINT
    assert_nothing_left(models)
    assert lock_is_free(models / ".luci/m-latest.gguf.lock")


def test_a_large_licence_is_not_kept(registry: Registry, models: Path, ollama: Path) -> None:
    """luci says so, and that it cannot be linked."""
    registry.push("library/m", "latest", (MODEL, DATA), (LICENSE, bytes((1 << 20) + 1)))
    assert "too large to be kept" in luci("install", "ollama:m").stderr
    assert_refused(luci("link", "ollama", "ollama:m"), 3, "luci did not install (license)", "ollama pull m:latest")
    assert files_of(ollama) == []


@pytest.mark.parametrize(("kind", "words"), [(ADAPTER, []), (PROJECTOR, ["--no-projector"])])
def test_a_model_without_all_of_its_files_is_refused(
    registry: Registry, ollama: Path, kind: str, words: list[str]
) -> None:
    """Without its adapter or projector it would be another model."""
    registry.push("library/m", "latest", (MODEL, DATA), (kind, OTHER))
    assert luci("install", "ollama:m", *words).returncode == 0
    assert_refused(luci("link", "ollama", "ollama:m"), 3, f"({kind.rpartition('.')[2]})", "ollama pull m:latest")
    assert files_of(ollama) == []


def test_small_files_that_somebody_changed_are_not_used(registry: Registry, models: Path, ollama: Path) -> None:
    """In the receipt: a blob must have the bytes that its name says."""
    assert luci("install", "ollama:m").returncode == 0
    receipt = models / ".luci/m-latest.gguf.receipt"
    facts = json.loads(receipt.read_bytes())
    facts["kept"][digest_of(PROMPT)] = "ZXZpbA=="
    receipt.write_text(json.dumps(facts))
    assert_refused(luci("link", "ollama", "ollama:m"), 3, "(template)")
    assert files_of(ollama) == []


def test_a_manifest_of_a_newer_format_is_refused(registry: Registry, ollama: Path) -> None:
    """Nothing is changed."""
    registry.put("library/m", "latest", manifest([layer(MODEL, DATA)], schemaVersion=3))
    assert luci("install", "ollama:m").returncode == 0
    assert_refused(luci("link", "ollama", "ollama:m"), 3, "has format 3", "Update luci. Nothing was changed.")
    assert files_of(ollama) == []


# --- models from elsewhere


def test_a_model_from_elsewhere_gets_a_manifest_that_ollama_reads(shop: Shop, ollama: Path) -> None:
    """Its description comes from the GGUF header."""
    shop.sell("m", files=["m.gguf", "m-proj.gguf"])
    assert luci("install", "m").returncode == 0
    ended = luci("link", "ollama", "m", "--as", "mine:v1")
    assert (ended.returncode, "no chat template" in ended.stderr) == (0, True)
    config = json.loads(ollama_rules.listed(ollama)["registry.ollama.ai/library/mine/v1"]["v1"])
    assert (config["model_format"], config["model_families"], config["os"]) == ("gguf", ["llama", "clip"], "linux")
    assert luci("link", "ollama", "m").stdout.startswith("🔗 Linked m to ollama as m:latest")


def test_a_file_of_the_hub_has_the_name_that_ollama_gives_it(ollama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the quantisation in the file's name: two with the same type in their headers are two models."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.add("me/x-GGUF", {"x-Q4_K_M.gguf": DATA, "x-UD-Q4_K_XL.gguf": OTHER})
        assert luci("install", "hf:me/x-GGUF:Q4_K_M", "hf:me/x-GGUF:UD-Q4_K_XL").returncode == 0
        ended = luci("link", "ollama", "hf:me/x-GGUF:Q4_K_M", "hf:me/x-GGUF:UD-Q4_K_XL")
    assert ended.returncode == 0, ended.stderr
    assert set(ollama_rules.listed(ollama)) == {"hf.co/me/x-GGUF/Q4_K_M", "hf.co/me/x-GGUF/UD-Q4_K_XL"}


@pytest.mark.parametrize("name", ["hf.co/a.b/m:v1", f"m:{'x' * 81}", "../m", "a/b/c/d:e"])
def test_a_name_that_ollama_does_not_take_is_refused(shop: Shop, ollama: Path, name: str) -> None:
    """It would list it nowhere."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", "ollama", "m", "--as", name), 2, "--as")
    assert files_of(ollama) == []


def test_a_model_of_several_shards_is_refused(shop: Shop, ollama: Path) -> None:
    """Ollama reads one file."""
    shop.sell("m", files=["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"])
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", "ollama", "m"), 3, "has 2 files", "llama-gguf-split")
    assert files_of(ollama) == []


# --- beside Ollama


def test_what_is_linked_survives_a_start_of_ollama(registry: Registry, models: Path, ollama: Path) -> None:
    """Though the file is older than an hour; what is removed with the link is what luci made."""
    assert luci("install", "ollama:m", "--link", "ollama").returncode == 0
    old = time.time() - 7200
    for path in (ollama / "blobs").iterdir():
        os.utime(path, (old, old))
    assert ollama_rules.start(ollama) == []
    assert luci("remove", "ollama:m", "--yes").returncode == 0
    assert files_of(ollama) == []


def test_a_folder_in_the_place_of_a_newer_manifest_is_left_alone(shop: Shop, ollama: Path) -> None:
    """It would hide luci's."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    there = ollama / "manifests-v2/ollama.com/library/m/latest"
    there.mkdir(parents=True)
    assert_refused(luci("link", "ollama", "m"), 5, "Ollama has a model m:latest already", str(there))
    assert there.is_dir()


@pytest.mark.parametrize("how", ["older", "newer", "list"])
def test_a_blob_of_another_manifest_stays(shop: Shop, ollama: Path, how: str) -> None:
    """Ollama itself made a model from it, with a manifest in either of its folders."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("link", "ollama", "m").returncode == 0
    own = ollama / "manifests" / M
    if how == "older":
        copy = ollama / "manifests/registry.ollama.ai/library/theirs/latest"
        copy.parent.mkdir()
        copy.write_bytes(own.read_bytes())
    else:
        ollama_rules.store(ollama, "ollama.com/library/theirs/latest", own.read_bytes(), as_list=how == "list")
    ended = luci("unlink", "ollama", "m")
    assert (ended.returncode, "stays" in ended.stderr, own.exists()) == (0, True, False)
    assert ollama_rules.listed(ollama)["registry.ollama.ai/library/theirs/latest"]["model"] == DATA


@pytest.mark.parametrize(
    ("how", "mode", "what"), [("symlink", 0o644, "may not enter"), ("hardlink", 0o600, "chmod o+r")]
)
def test_what_the_service_may_not_read_is_said(
    shop: Shop, models: Path, ollama: Path, monkeypatch: pytest.MonkeyPatch, how: How, mode: int, what: str
) -> None:
    """Ollama's folder belongs to another user."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    (models / "m.gguf").chmod(mode)
    models.chmod(0o700)
    [model] = installed([models])
    assert list(unreadable(Question(model, "m", how=how), ollama)) == []
    if os.geteuid() == 0:
        os.chown(ollama, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    [said] = unreadable(Question(model, "m", how=how), ollama)
    assert what in said


def test_a_foreign_manifest_is_refused(shop: Shop, ollama: Path) -> None:
    """And nothing is made beside it."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    taken = ollama / "manifests" / M
    taken.parent.mkdir(parents=True)
    taken.write_text("theirs")
    assert_refused(luci("link", "ollama", "m"), 5, "luci did not make it", "--as")
    assert files_of(ollama) == [taken]


def test_a_model_of_ollama_s_own_that_would_hide_the_link_is_refused(registry: Registry, ollama: Path) -> None:
    """Unless it is the same: then its blobs serve, and stay."""
    assert luci("install", "ollama:m").returncode == 0
    for data in (DATA, PROMPT, b"MIT", b"{}"):
        (ollama / "blobs").mkdir(exist_ok=True)
        ollama_rules.blob(ollama, digest_of(data)).write_bytes(data)
    other = manifest([layer(MODEL, DATA)])
    ollama_rules.store(ollama, "ollama.com/library/m/latest", other)
    before = files_left(ollama)
    assert_refused(luci("link", "ollama", "ollama:m"), 5, "Ollama has a model m:latest already", "ollama rm m:latest")
    assert files_left(ollama) == before
    (ollama / "manifests-v2/ollama.com/library/m/latest").unlink()
    ollama_rules.store(ollama, "ollama.com/library/m/latest", registry.manifests["library/m", "latest"])
    assert luci("link", "ollama", "ollama:m").returncode == 0
    assert luci("unlink", "ollama", "m:latest").returncode == 0
    assert ollama_rules.listed(ollama)[M]["template"] == PROMPT


@pytest.mark.parametrize("words", [("install", "ollama:m"), ("upgrade", "ollama:m", "--yes")])
def test_a_changed_template_reaches_the_link(
    registry: Registry, models: Path, ollama: Path, words: tuple[str, ...]
) -> None:
    """The model's bytes stay, and are not fetched again."""
    assert luci("install", "ollama:m", "--link", "ollama").returncode == 0
    registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, b"new"))
    [row] = json.loads(luci("outdated", "--json").stdout)
    assert (row["state"], row["fetch"]) == ("outdated", 3)
    before = len(registry.store.exchanges())
    ended = luci(*words)
    assert (ended.returncode, "small files" in ended.stderr) == (0, True)
    assert len(registry.store.exchanges()) == before + 1
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "current"
    assert ollama_rules.listed(ollama)[M]["template"] == b"new"
    assert (models / "m-latest.gguf").read_bytes() == DATA
    assert ollama_rules.blob(ollama, digest_of(DATA)).stat().st_size == len(DATA)


def test_a_link_follows_a_newer_version(registry: Registry, ollama: Path) -> None:
    """Its manifest, its blobs, and no others."""
    assert luci("install", "ollama:m", "--link", "ollama").returncode == 0
    newer = make_gguf(200_000, seed=3)
    registry.push("library/m", "latest", (MODEL, newer), (TEMPLATE, PROMPT))
    assert luci("upgrade", "ollama:m", "--yes").returncode == 0
    assert ollama_rules.listed(ollama)[M]["model"] == newer
    assert {path.name for path in (ollama / "blobs").iterdir()} == {
        f"sha256-{sha256(data)}" for data in (newer, PROMPT, b"{}")
    }


def test_a_folder_that_cannot_be_written_is_refused(shop: Shop, ollama: Path) -> None:
    """Before anything is made, with a hint that fits."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    (ollama / "blobs").write_text("a file")
    assert_refused(luci("link", "ollama", "m"), 6, str(ollama / "blobs"))
    assert files_left(ollama) == ["blobs"]


@pytest.mark.parametrize(
    ("there", "variable", "expected"),
    [
        (["own/models"], "", "own/models"),
        (["own", "service/.ollama/models"], "", "service/.ollama/models"),
        (["own"], "", "own/models"),
        (["own/models", "other"], "other/new", "other/new"),
    ],
)
def test_the_folder_that_ollama_uses_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], variable: str, expected: str
) -> None:
    """A folder with models before one that could have some: every client of Ollama makes ~/.ollama."""
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    roots = (tmp_path / (variable or "own/models"), tmp_path / "service/.ollama/models")
    monkeypatch.setattr(runners, "ollama", lambda _environ: roots)
    monkeypatch.setenv("OLLAMA_MODELS", variable and str(tmp_path / variable))
    assert place() == tmp_path / expected


def test_one_shard_of_several_is_refused(shop: Shop, ollama: Path) -> None:
    """Though it is the model's only file, as its header says that there are more."""
    shop.sell(
        "m", V3.file([V3.string("general.architecture", "llama"), V3.u32("split.no", 0), V3.u32("split.count", 2)])
    )
    assert luci("install", "m").returncode == 0
    assert_refused(luci("link", "ollama", "m"), 3, "has 2 files")
    assert files_of(ollama) == []


def test_what_is_no_gguf_file_is_refused(shop: Shop, ollama: Path) -> None:
    """Ollama runs nothing else."""
    shop.sell("w", b"lmgg" * 1000, files=["ggml-w.bin"])
    assert luci("install", "w").returncode == 0
    assert_refused(luci("link", "ollama", "w"), 3, "Ollama needs a GGUF file, and ggml-w.bin is none")
    assert files_of(ollama) == []


def test_two_names_of_one_model_share_their_blobs(shop: Shop, ollama: Path) -> None:
    """Unlinking one leaves the other whole, and nothing else is left."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("link", "ollama", "m").returncode == 0
    assert luci("link", "ollama", "m", "--as", "mine:v1").returncode == 0
    blobs = {path.name for path in (ollama / "blobs").iterdir()}
    assert [path.name for path in ollama.iterdir() if path.name not in ("blobs", "manifests")] == []
    assert luci("unlink", "ollama", "m:latest").returncode == 0
    assert {path.name for path in (ollama / "blobs").iterdir()} == blobs
    assert luci("unlink", "ollama", "mine:v1").returncode == 0
    assert [path for path in ollama.rglob("*") if path.is_file()] == []
