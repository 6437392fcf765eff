"""Models of registries, as a user installs them: of a real docker-registry, and of one that tests can make lie."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import DATA, OTHER, assert_nothing_left, assert_refused
from tests.docker_registry import docker_registry, scope_of
from tests.interrupting import DELETED, STOPPED, wait_for_part
from tests.procs import Spawned, files_left, luci, wait_until
from tests.servers import faults
from tests.servers.honest import Answer, Request
from tests.servers.registry import MODEL, PROJECTOR, TEMPLATE, Registry, Scripted, layer, manifest

BIG = make_gguf(8 << 20)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry in place of Ollama's, with the model `m`; its tokens are valid for the manifest and one blob."""
    with Registry(uses=2) as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, b"{{ .Prompt }}"))
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        yield registry


# --- a real registry


def test_a_model_of_a_real_registry_is_installed(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And found by every spelling of its name; a tag that has moved is a newer version."""
    with docker_registry(tmp_path / "registry") as real:
        real.push("library/m", "latest", (TEMPLATE, b"x"), (MODEL, DATA), (PROJECTOR, OTHER))
        monkeypatch.setenv("OLLAMA_REGISTRY", real.address)
        installed = luci("install", "ollama:m")
        assert (installed.returncode, installed.stderr.count("Starting fresh")) == (0, 2)
        assert (models / "m-latest.gguf").read_bytes() == DATA
        assert (models / "m-latest.mmproj.gguf").read_bytes() == OTHER
        for word in ("ollama:m:latest", "https://ollama.com/library/m", "m-latest.gguf"):
            assert luci("path", word).stdout == f"{models}/m-latest.gguf\n"
        assert "already installed" in luci("install", "ollama:library/m").stderr
        real.push("library/m", "latest", (MODEL, BIG))
        assert "newer version" in luci("install", "ollama:m").stderr
        assert_refused(luci("install", "ollama:m:1b"), 3, 'no tag "1b"', "latest")
        assert_refused(luci("install", "ollama:nosuch"), 3, "no such model")
    assert_nothing_left(models, "m-latest.gguf", "m-latest.mmproj.gguf")


def test_a_real_registry_that_asks_for_tokens_gets_one(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed one, from the server and for the scope that the challenge names."""

    def issue(request: Request) -> Answer:
        repository, actions = scope_of(parse_qs(urlsplit(request.target).query))
        assert real.signer
        return Answer(200, {}, b'{"token": "%s"}' % real.signer.token(repository, actions).encode())

    with Scripted(issue) as issuer, docker_registry(tmp_path / "registry", issuer.url("/token")) as real:
        real.push("library/m", "latest", (MODEL, DATA))
        monkeypatch.setenv("OLLAMA_REGISTRY", real.address)
        assert luci("install", "ollama:m").returncode == 0
        assert len(issuer.exchanges()) == 1
    assert (models / "m-latest.gguf").read_bytes() == DATA


# --- tokens


def test_nobody_but_the_registry_sees_a_token(registry: Registry, models: Path) -> None:
    """Only requests to the registry have an Authorization header; no output and no file shows the token."""
    ended = luci("install", "ollama:m", "--json")
    assert ended.returncode == 0
    assert registry.front.received("authorization")[:3] == ["", "Bearer token-1", "Bearer token-1"]
    for other in (registry.issuer, registry.store):
        assert {name for exchange in other.exchanges() for name in exchange.headers} <= {
            "host",
            "user-agent",
            "accept-encoding",
            "range",
        }
    assert "token-1" not in ended.stdout + ended.stderr
    assert not [path for path in models.rglob("*") if path.is_file() and b"token-1" in path.read_bytes()]


def test_a_token_that_expires_on_the_way_is_replaced(registry: Registry, models: Path) -> None:
    """When the registry is asked where the blob is now. The download continues where it was cut off."""
    registry.push("library/m", "latest", (MODEL, BIG))
    registry.on_blob = [faults.cut(5 << 20), faults.status(403), faults.ok()]
    assert luci("install", "ollama:m", "-c", "1").returncode == 0
    assert registry.front.received("authorization")[2:5] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert registry.store.sent() < len(BIG) + (1 << 20)
    assert (models / "m-latest.gguf").read_bytes() == BIG


def test_many_connections_share_the_new_token(registry: Registry, models: Path) -> None:
    """The store refuses all that wait, and one of them asks the registry, with a new token, for all."""
    registry.push("library/m", "latest", (MODEL, BIG))
    registry.on_blob = [faults.stall(1 << 20), *[faults.status(403)] * 3, faults.ok()]
    with Spawned("install", "ollama:m", "-c", "4") as running:
        wait_until(lambda: len(registry.store.exchanges()) >= 5)
        registry.store.release()
        assert running.wait() == 0
    assert registry.tokens == 2
    assert registry.front.received("authorization")[2:5] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert (models / "m-latest.gguf").read_bytes() == BIG


def test_a_model_that_became_private_is_reported(registry: Registry, models: Path) -> None:
    """Also between the manifest and the blob; what was installed stays."""
    registry.on_blob = [faults.cut(0)]
    with Spawned("install", "ollama:m", "-c", "1") as running:
        wait_until(lambda: registry.store.exchanges())
        registry.private.add("library/m")
        assert running.wait() == 3
    assert "requires an account" in running.err
    assert not (models / "m-latest.gguf").exists()


# --- interrupts


def test_ctrl_c_while_the_registry_thinks(registry: Registry, models: Path) -> None:
    """Nothing was begun, so nothing is deleted, and nothing is there."""
    registry.on_manifest = faults.stall_head()
    with Spawned("install", "ollama:m") as running:
        assert registry.front.stalled.wait(10)
        running.signal(signal.SIGINT)
        assert running.wait(10) == -signal.SIGINT
    assert running.err == STOPPED
    assert not models.exists()


def test_ctrl_c_while_the_token_does_not_come(registry: Registry, models: Path) -> None:
    """That wait can be interrupted like any other."""
    registry.on_token = faults.stall_head()
    with Spawned("install", "ollama:m") as running:
        assert registry.issuer.stalled.wait(10)
        running.signal(signal.SIGINT)
        assert running.wait(10) == -signal.SIGINT
    assert running.err == STOPPED
    assert not models.exists()


def test_ctrl_c_during_the_blob(registry: Registry, models: Path) -> None:
    """The part is deleted, and the output says so."""
    registry.on_blob = [faults.stall(100_000)]
    with Spawned("install", "ollama:m") as running:
        wait_for_part(models, "m-latest.gguf")
        assert registry.store.stalled.wait(10)
        running.signal(signal.SIGINT)
        assert running.wait(10) == -signal.SIGINT
    assert running.err.endswith(STOPPED + DELETED.format("m-latest.gguf"))
    assert_nothing_left(models)


def test_a_kept_part_is_cleaned_by_the_models_name(registry: Registry, models: Path) -> None:
    """Although it is not installed; the part of another model stays."""
    registry.push("library/other", "latest", (MODEL, DATA))
    registry.on_blob = [faults.cut(100_000), faults.status(404)]
    assert luci("install", "ollama:m", "-c", "1", "--retries", "0").returncode == 4
    registry.on_blob = [faults.cut(100_000)]
    assert luci("install", "ollama:other", "-c", "1", "--retries", "0").returncode == 4
    assert luci("clean", "ollama:library/m").returncode == 0
    assert [path.name for path in models.rglob("*.part")] == ["other-latest.gguf.part"]


# --- what is not to be trusted


@pytest.mark.parametrize(
    "lie",
    [
        {"digest": "sha256:../../../../../../tmp/x"},
        {"digest": f"sha256:{'a' * 63}"},
        {"size": -1},
        {"size": 1e300},
        {"size": 10**30},
    ],
)
def test_a_hostile_manifest_writes_nothing_anywhere(
    registry: Registry, home: Path, tmp_path: Path, lie: dict[str, object]
) -> None:
    """One clear message, and no folder or file is made."""
    registry.put("library/m", "latest", manifest([layer(MODEL, DATA) | lie]))
    before = files_left(tmp_path)
    assert_refused(luci("install", "ollama:m"), 3, "the manifest of ollama:m:latest")
    assert files_left(tmp_path) == before
    assert not home.exists()


def test_bytes_other_than_the_manifests_are_refused(registry: Registry, models: Path) -> None:
    """The digest of the manifest decides, whatever the blob store says."""
    registry.on_blob = [faults.flipped(1000)]
    assert_refused(luci("install", "ollama:m"), 5, "SHA-256")
    registry.on_blob = [faults.shorter(1000)]
    assert_refused(luci("install", "ollama:m"), 5, "300000")
    assert_nothing_left(models)


def test_a_registry_over_plain_http_is_for_this_machine_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody on the way could replace the digests."""
    monkeypatch.setenv("OLLAMA_REGISTRY", "http://registry.example")
    assert_refused(luci("install", "ollama:m"), 2, "OLLAMA_REGISTRY", "http")
    assert not home.exists()


# --- offline and options


def test_offline_what_is_installed_is_the_answer(registry: Registry, models: Path) -> None:
    """By every spelling of the name; for other models the message names the server that would be asked."""
    assert luci("install", "ollama:m").returncode == 0
    registry.close()
    again = luci("install", "--offline", "https://ollama.com/library/m")
    assert (again.returncode, again.stdout) == (0, f"{models}/m-latest.gguf\n")
    assert_refused(luci("install", "--offline", "ollama:m:1b"), 4, registry.host, "offline")


def test_a_damaged_file_is_fetched_again(registry: Registry, models: Path) -> None:
    """With a new token, of course."""
    assert luci("install", "ollama:m").returncode == 0
    (models / "m-latest.gguf").write_bytes(OTHER)
    assert luci("install", "ollama:m").returncode == 0
    assert (models / "m-latest.gguf").read_bytes() == DATA


def test_a_dry_run_reports_everything_and_fetches_nothing(registry: Registry, home: Path) -> None:
    """Size and digest are those of the manifest."""
    ended = luci("install", "--dry-run", "ollama:m")
    assert ended.returncode == 0
    assert "m-latest.gguf" in ended.stdout
    assert registry.store.exchanges() == []
    assert not home.exists()


def test_the_projector_can_be_left_out(registry: Registry, models: Path) -> None:
    """Then it is a single file, which may get another name."""
    registry.push("library/m", "vl", (MODEL, DATA), (PROJECTOR, OTHER))
    assert_refused(luci("install", "ollama:m:vl", "-o", "x.gguf"), 2, "single file")
    assert luci("install", "ollama:m:vl", "--no-projector", "-o", "x.gguf").returncode == 0
    assert_nothing_left(models, "x.gguf")


def test_a_host_with_a_port_is_a_folder(registry: Registry, models: Path) -> None:
    """With a plus where the colon was, which not every file system allows."""
    registry.push("team/m", "q4", (MODEL, DATA))
    ended = luci("install", f"ollama:{registry.host}/team/m:q4")
    assert ended.stdout == f"{models}/{registry.host.replace(':', '+')}/team/m-q4.gguf\n"


def test_path_says_what_to_do_for_what_is_not_installed(home: Path) -> None:
    """The command in the message has the name as it was typed."""
    assert_refused(luci("path", "ollama:m"), 3, "is not installed", "luci install ollama:m")
