"""`luci install docker:...`: models of a real docker-registry, and manifests that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import DATA, OTHER, assert_nothing_left, assert_refused
from tests.docker_registry import DockerRegistry, docker_registry
from tests.procs import luci
from tests.servers.registry import Registry, layer, manifest

AI = "application/vnd.docker.ai."
GGUF, MMPROJ, LICENSE = f"{AI}gguf.v3", f"{AI}mmproj", f"{AI}license"
RAW = "application/vnd.cncf.model.weight.v1.raw"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry in place of Docker's, which wants tokens."""
    with Registry() as registry:
        monkeypatch.setenv("DOCKER_REGISTRY", registry.address)
        yield registry


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerRegistry]:
    """Debian's docker-registry."""
    with docker_registry(tmp_path / "registry") as real:
        monkeypatch.setenv("DOCKER_REGISTRY", real.address)
        yield real


def at(kind: str, data: bytes, path: str) -> dict[str, object]:
    """A layer that says where its file belongs."""
    return layer(kind, data) | {"annotations": {"org.cncf.model.filepath": path}}


def test_a_model_of_a_real_registry_is_installed(real: DockerRegistry, models: Path) -> None:
    """And found by every spelling of its name; a tag that has moved is outdated."""
    real.push("ai/smol", "latest", (GGUF, DATA), (LICENSE, b"MIT"))
    assert luci("install", "docker:smol").returncode == 0
    assert (models / "ai/smol-latest.gguf").read_bytes() == DATA
    for word in ("docker:smol:latest", "docker:ai/SMOL", "smol-latest.gguf"):
        assert luci("path", word).stdout == f"{models}/ai/smol-latest.gguf\n"
    assert "already installed" in luci("install", "docker:ai/smol").stderr
    real.push("ai/smol", "latest", (GGUF, OTHER))
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "outdated"
    assert_nothing_left(models, "ai/", "ai/smol-latest.gguf")


def test_a_tag_that_is_gone_is_gone(registry: Registry, models: Path) -> None:
    """What is installed stays."""
    registry.push("ai/m", "latest", (GGUF, DATA))
    assert luci("install", "docker:m").returncode == 0
    del registry.manifests["ai/m", "latest"]
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "gone"
    assert (models / "ai/m-latest.gguf").read_bytes() == DATA


def test_a_vision_model_and_its_projector_share_a_folder(real: DockerRegistry, models: Path) -> None:
    """The model is the file to load."""
    real.push("ai/see", "4B-Q4_K_M", (MMPROJ, OTHER), (GGUF, DATA))
    ended = luci("install", "docker:see:4B-Q4_K_M")
    assert ended.returncode == 0, ended.stderr
    folder = models / "ai/see-4B-Q4_K_M"
    assert (folder / "see-4B-Q4_K_M.gguf").read_bytes() == DATA
    assert (folder / "mmproj-see-4B-Q4_K_M.gguf").read_bytes() == OTHER
    assert luci("path", "docker:see:4B-Q4_K_M").stdout == f"{folder}/see-4B-Q4_K_M.gguf\n"


def test_shards_are_numbered_in_the_order_of_the_layers(real: DockerRegistry, models: Path) -> None:
    real.push("ai/big", "latest", (GGUF, DATA), (GGUF, OTHER))
    assert luci("install", "docker:big").returncode == 0
    assert (models / "ai/big-latest/big-latest-00001-of-00002.gguf").read_bytes() == DATA
    assert (models / "ai/big-latest/big-latest-00002-of-00002.gguf").read_bytes() == OTHER


def test_layers_that_say_where_they_belong_go_there(registry: Registry, models: Path) -> None:
    """ModelPack, and Docker's format 0.2."""
    registry.push("team/m", "v2", (RAW, DATA), (RAW, OTHER), (RAW, b"{}"))
    registry.put(
        "team/m",
        "v2",
        manifest(
            [at(RAW, DATA, "weights/m.gguf"), at(RAW, OTHER, "mmproj-m.gguf"), at("text/json", b"{}", "config.json")]
        ),
    )
    ended = luci("install", "docker:team/m:v2")
    assert ended.returncode == 0, ended.stderr
    folder = models / "team/m-v2"
    assert (folder / "weights/m.gguf").read_bytes() == DATA
    assert (folder / "config.json").read_bytes() == b"{}"
    assert luci("path", "docker:team/m:v2").stdout == f"{folder}/weights/m.gguf\n"


@pytest.mark.parametrize("path", ["../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf", ".hidden/x.gguf", "x.lock"])
def test_a_path_that_leaves_the_folder_is_refused(registry: Registry, models: Path, path: str) -> None:
    registry.push("ai/m", "latest", (GGUF, DATA), (GGUF, OTHER))
    registry.put("ai/m", "latest", manifest([at(GGUF, DATA, path), at(GGUF, OTHER, "b.gguf")]))
    assert_refused(luci("install", "docker:m"), 3, "cannot be installed")
    assert not models.exists()


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (
            manifest([layer("application/vnd.docker.image.rootfs.diff.tar.gzip", b"x")]),
            ["container image", "docker pull"],
        ),
        (manifest([layer("application/vnd.oci.image.layer.v1.tar+gzip", b"x")]), ["container image"]),
        (manifest([layer(GGUF, DATA)], schemaVersion=3), ["format 3", "Update luci"]),
        (manifest([], manifests=[{}]), ["several platforms"]),
        (manifest([layer("text/plain", b"x")]), ["no model", "text/plain"]),
        (manifest([layer(GGUF, DATA) | {"digest": "sha256:../../x"}]), ["digest"]),
        (manifest([layer(GGUF, DATA), layer(MMPROJ, OTHER), layer(MMPROJ, DATA)]), ["2 projectors", "--no-projector"]),
        (b"[]", ["expected a manifest"]),
    ],
)
def test_what_is_no_model_gets_one_clear_message(
    registry: Registry, models: Path, body: bytes, texts: list[str]
) -> None:
    registry.put("ai/m", "latest", body)
    assert_refused(luci("install", "docker:m"), 3, *texts)
    assert not models.exists()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("docker:", "not a valid"),
        ("docker:a b", "not a valid"),
        ("docker:m:", "not a valid TAG"),
        ("docker:../m", "not a valid"),
        ("docker:user:secret@h.example/m", "not a valid"),
        ("docker:nosuch", "no such model or tag"),
    ],
)
def test_a_bad_name_is_refused(registry: Registry, models: Path, word: str, text: str) -> None:
    """Without showing what may be a password."""
    ended = luci("install", word)
    assert_refused(ended, 3, text)
    assert "secret" not in ended.stderr


def test_a_private_model_says_so(registry: Registry) -> None:
    registry.push("ai/m", "latest", (GGUF, DATA))
    registry.private.add("ai/m")
    assert_refused(luci("install", "docker:m"), 3, "requires an account")


def test_offline_an_installed_model_is_found(registry: Registry) -> None:
    registry.push("ai/m", "latest", (GGUF, DATA))
    assert luci("install", "docker:m").returncode == 0
    assert "already installed" in luci("install", "docker:m", "--offline").stderr
    assert_refused(luci("install", "docker:other", "--offline"), 4, "offline")
