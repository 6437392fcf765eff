"""`luci install docker:...`: models of a real docker-registry, and manifests that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import DATA, OTHER, assert_nothing_left, assert_refused
from tests.docker_registry import DockerRegistry, docker_registry
from tests.procs import luci
from tests.servers.registry import INDEX, Registry, digest_of, index, index_entry, layer, manifest

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


ATTESTATION = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
CONTAINER = "application/vnd.oci.image.layer.v1.tar+gzip"


def test_an_index_with_one_usable_entry_is_followed(real: DockerRegistry, models: Path) -> None:
    """Another index and what says how the model was built are none; the receipt proves it the next time, too."""
    model = real.push("ai/smol", "model", (GGUF, DATA), (LICENSE, b"MIT"))
    built = real.push("ai/smol", "built", ("application/vnd.in-toto+json", b"{}"))
    real.push_index("ai/smol", "latest", index_entry(model, "amd64"), index_entry(built, "unknown", **ATTESTATION))
    ended = luci("install", "docker:smol")
    assert ended.returncode == 0, ended.stderr
    assert (models / "ai/smol-latest.gguf").read_bytes() == DATA
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "current"
    assert_nothing_left(models, "ai/", "ai/smol-latest.gguf")


def test_of_an_index_the_entry_with_a_gguf_is_taken(real: DockerRegistry, models: Path) -> None:
    """Beside a container and a model in another format; two platforms with the same files are one."""
    container, other = real.push("ai/m", "c", (CONTAINER, b"x")), real.push("ai/m", "s", (f"{AI}safetensors", OTHER))
    model, same = real.push("ai/m", "a", (GGUF, DATA)), real.push("ai/m", "b", (GGUF, DATA), (LICENSE, b"MIT"))
    bodies = {"amd64": container, "arm64": other, "riscv64": model, "s390x": same}
    real.push_index("ai/m", "latest", *(index_entry(body, name) for name, body in bodies.items()))
    ended = luci("install", "docker:m")
    assert ended.returncode == 0, ended.stderr
    assert (models / "ai/m-latest.gguf").read_bytes() == DATA


def test_an_index_of_two_models_or_none_is_refused_by_what_it_holds(real: DockerRegistry, models: Path) -> None:
    one, two = real.push("ai/m", "1", (GGUF, DATA)), real.push("ai/m", "2", (GGUF, OTHER))
    container = real.push("ai/m", "c", (CONTAINER, b"x"))
    text = real.push("ai/m", "t", ("text/plain", b"x"))
    real.push_index("ai/m", "two", *(index_entry(body, name) for name, body in {"amd64": one, "arm64": two}.items()))
    real.push_index("ai/m", "no", index_entry(container, "amd64"), index_entry(text, "arm64"))
    assert_refused(
        luci("install", "docker:m:two"), 3, "2 models", "linux/amd64 has one of 300kB", "linux/arm64 has one of"
    )
    assert_refused(
        luci("install", "docker:m:no"), 3, "no model", "linux/amd64 is a container image", "arm64 has no model",
    )  # fmt: skip
    assert not models.exists()


def test_a_manifest_with_other_bytes_than_its_index_names_is_refused(registry: Registry, models: Path) -> None:
    """A missing one, and an index that stands in its place, too."""
    good, evil = manifest([layer(GGUF, DATA)]), manifest([layer(GGUF, OTHER)])
    inner = index(index_entry(good, "arm64"))
    registry.push("ai/m", digest_of(good), (GGUF, OTHER))
    registry.put("ai/m", digest_of(good), evil)
    registry.put("ai/m", digest_of(inner), inner)
    registry.put("ai/m", "latest", index(index_entry(good, "amd64")))
    registry.put("ai/m", "gone", index(index_entry(b"{}", "amd64")))
    registry.put("ai/m", "nested", index(index_entry(inner, "amd64")))
    assert_refused(luci("install", "docker:m"), 5, "linux/amd64 is not the one that the registry's index names")
    assert_refused(luci("install", "docker:m:gone"), 3, "no such model")
    assert_refused(luci("install", "docker:m:nested"), 3, "is an index where")
    assert not models.exists()


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
        (manifest([], manifests=[{}]), ["index of 1 entries, none of which"]),
        (manifest([], manifests=[5, index_entry(b"{}", "arm64", mediaType=INDEX)]), ["index of 2 entries, none"]),
        (index(*(index_entry(b"%d" % number, "arm64") for number in range(33))), ["33 manifests", "up to 32"]),
        (index(index_entry(b"", "arm64", size=1, digest="sha256:../../x")), ["digest"]),
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
