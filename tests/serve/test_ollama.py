"""Ollama's client, by its rules, and luci, against the real `luci serve` in place of Ollama's registry."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import assert_nothing_left, assert_refused
from tests.nginx import free_port
from tests.ollama_pull import DigestMismatchError, pull
from tests.ollama_rules import listed
from tests.procs import files_left, luci, wait_until
from tests.serve.running import ask, serving
from tests.servers import faults
from tests.servers.honest import Answer, File, Request, answer
from tests.servers.registry import (
    ADAPTER,
    MANIFEST,
    MODEL,
    PROJECTOR,
    TEMPLATE,
    Registry,
    Scripted,
    digest_of,
    layer,
    manifest,
)

DATA = make_gguf(3_000_000)
OTHER = make_gguf(2_000_000, seed=1)
ANSWER = b"{{ .Prompt }}"
PART = 100_000
"""Bytes of a part, so that there are many."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    """With the model `m`; tokens are needed."""
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (PROJECTOR, OTHER), (TEMPLATE, ANSWER))
        yield registry


def fetched(registry: Registry) -> int:
    """Bytes of blobs that came from it."""
    return sum(exchange.sent for exchange in registry.store.exchanges())


def assert_whole_files_only(shelf: Path) -> None:
    """Assert that nothing unfinished is left, and that every lock is free."""
    assert_nothing_left(shelf, *(name for name in files_left(shelf) if not name.startswith(".luci/")))


def whole(root: Path, address: str) -> Mapping[str, bytes]:
    """The layers of `m`, all of them as the manifest says, in Ollama's folder."""
    layers = listed(root)[f"{urlsplit(address).netloc}/library/m/latest"]
    assert (layers["model"], layers["projector"], layers["template"]) == (DATA, OTHER, ANSWER)
    return layers


def test_ollama_pulls_cold_and_warm_and_with_the_registry_gone(registry: Registry, tmp_path: Path) -> None:
    """Each blob comes once from upstream, whoever asks, and the manifest byte for byte."""
    env = {"OLLAMA_REGISTRY": registry.address}
    with serving(tmp_path, env=env) as address:
        with ThreadPoolExecutor(4) as pool:
            pulls = [pool.submit(pull, tmp_path / f"cold{n}", address, "library/m", least=PART) for n in range(4)]
            manifests = {each.result() for each in pulls}
        assert manifests == {registry.manifests["library/m", "latest"]}
        for n in range(4):
            whole(tmp_path / f"cold{n}", address)
        once = sum(map(len, (DATA, OTHER, ANSWER, b"{}")))
        assert fetched(registry) == once
        pull(tmp_path / "warm", address, "library/m", least=PART)
        whole(tmp_path / "warm", address)
        assert fetched(registry) == once
    registry.close()
    with serving(tmp_path, env=env) as address:
        pull(tmp_path / "gone", address, "library/m", least=PART)
        whole(tmp_path / "gone", address)
    assert_whole_files_only(tmp_path / "shelf")


def test_wrong_bytes_from_upstream_are_never_a_model(registry: Registry, tmp_path: Path) -> None:
    """Once the right ones are here, they come in parts again, also to who has bytes of the wrong ones."""
    registry.on_blob = [faults.ok(), faults.flipped(2_500_000)]
    registry.push("library/m", "latest", (TEMPLATE, ANSWER), (MODEL, DATA))
    env, path = {"OLLAMA_REGISTRY": registry.address}, f"/v2/library/m/blobs/{digest_of(DATA)}"
    with serving(tmp_path, env=env) as address:
        for _ in range(2):
            with pytest.raises((OSError, DigestMismatchError)):
                pull(tmp_path / "ollama", address, "library/m", least=PART)
        status, headers, body = ask(address, path)
        assert (status, json.loads(body)["error"]) == (502, "upstream_wrong")
    assert not (tmp_path / "ollama/manifests").exists()
    assert_whole_files_only(tmp_path / "shelf")
    registry.on_blob = [faults.ok()]
    with serving(tmp_path, env=env) as address:
        assert ask(address, path, Range="bytes=5-9")[::2] == (200, DATA)
        pull(tmp_path / "ollama", address, "library/m", least=PART)
        status, headers, _ = ask(address, path, "HEAD")
        assert ask(address, headers["location"], Range="bytes=5-9")[::2] == (206, DATA[5:10])
    assert listed(tmp_path / "ollama")[f"{urlsplit(address).netloc}/library/m/latest"]["model"] == DATA


def test_a_pull_outlives_a_server_that_is_killed(registry: Registry, tmp_path: Path) -> None:
    """And started again: its parts go on."""
    registry.push("library/m", "latest", (TEMPLATE, ANSWER), (MODEL, DATA))
    registry.on_blob = [faults.ok(), faults.stall(200_000)]
    env, port = {"OLLAMA_REGISTRY": registry.address}, free_port()
    begun = tmp_path / "ollama/blobs" / f"{digest_of(DATA)}-partial".replace(":", "-")
    with ThreadPoolExecutor(1) as pool:
        with serving(tmp_path, env=env, port=port, ended_by=signal.SIGKILL) as address:
            client = pool.submit(pull, tmp_path / "ollama", address, "library/m", least=PART)
            wait_until(begun.exists)
            registry.on_blob = [faults.ok()]
        with serving(tmp_path, env=env, port=port):
            client.result()
    assert listed(tmp_path / "ollama")[f"127.0.0.1:{port}/library/m/latest"]["model"] == DATA
    assert_whole_files_only(tmp_path / "shelf")


def test_only_what_a_manifest_names_is_served(registry: Registry, tmp_path: Path) -> None:
    """Or what is public and here; in Ollama's own words for what is not."""
    with serving(tmp_path, env={"OLLAMA_REGISTRY": registry.address}) as address:
        assert ask(address, "/v2/")[0] == 200
        assert ask(address, f"/v2/library/m/blobs/{digest_of(DATA)}")[0] == 404
        for path in ("m/manifests/1b", "none/manifests/latest", "m/manifests/..", "m/blobs/sha256:0", "m/tags/list"):
            assert ask(address, f"/v2/library/{path}")[0] == 404, path
        status, headers, body = ask(address, "/v2/library/m/manifests/latest")
        digest = digest_of(body)
        assert (status, headers["docker-content-digest"], headers["content-type"]) == (200, digest, MANIFEST)
        registry.put("library/m", digest, body)
        assert ask(address, f"/v2/library/m/manifests/{digest}")[2] == body
        status, headers, none = ask(address, "/v2/library/m/manifests/latest", "HEAD")
        assert (status, headers["content-length"], none) == (200, str(len(body)), b"")
        status, headers, none = ask(address, f"/v2/library/m/blobs/{digest_of(ANSWER)}", "HEAD")
        assert (status, headers["content-length"], none) == (200, str(len(ANSWER)), b"")
        assert ask(address, f"/v2/library/other/blobs/{digest_of(ANSWER)}")[0] == 404
        assert ask(address, "/v2/library/m/manifests/latest", "POST")[0] == 405
    assert len([each for each in registry.front.exchanges() if each.target.endswith("/manifests/latest")]) < 6


def test_what_luci_installed_is_served_without_any_registry(registry: Registry, tmp_path: Path) -> None:
    """The manifest and the small layers are in its receipts."""
    env = {"OLLAMA_REGISTRY": registry.address}
    installed = luci("install", "ollama:m", "--dir", tmp_path / "shelf", env=env)
    assert installed.returncode == 0, installed.stderr
    registry.close()
    for options in (["--only-installed"], []):
        with serving(tmp_path, *options, env=env) as address:
            pull(tmp_path / f"ollama{len(options)}", address, "library/m", least=PART)
            whole(tmp_path / f"ollama{len(options)}", address)


def test_what_is_not_allowed_is_not_asked_for(registry: Registry, tmp_path: Path) -> None:
    """By its pattern, or at all."""
    env = {"OLLAMA_REGISTRY": registry.address}
    for options in (["--only-installed"], ["--allow", "team/*"]):
        with serving(tmp_path, *options, env=env) as address, pytest.raises(OSError, match="not_allowed"):
            pull(tmp_path / "ollama", address, "library/m")
    assert registry.front.exchanges() == []


def test_luci_installs_from_it_as_from_the_registry(registry: Registry, tmp_path: Path) -> None:
    """Its variable names the server; layers of all kinds come through."""
    registry.push("team/a", "x", (MODEL, DATA), (ADAPTER, OTHER), (TEMPLATE, ANSWER))
    with serving(tmp_path, env={"OLLAMA_REGISTRY": registry.address}) as address:
        ended = luci("install", "ollama:m", "--dir", tmp_path / "mine", env={"OLLAMA_REGISTRY": address})
        assert ended.returncode == 0, ended.stderr
        assert_refused(luci("install", "ollama:none", env={"OLLAMA_REGISTRY": address}), 3, "no such model")
        pull(tmp_path / "ollama", address, "team/a", "x", PART)
    assert_nothing_left(tmp_path / "mine", "m-latest.gguf", "m-latest.mmproj.gguf")
    layers = listed(tmp_path / "ollama")[f"{urlsplit(address).netloc}/team/a/x"]
    assert (layers["model"], layers["adapter"]) == (DATA, OTHER)


def test_a_server_may_ask_another_one(registry: Registry, tmp_path: Path) -> None:
    """As in each rack of many: all is passed on, and fetched once."""
    with (
        serving(tmp_path / "first", env={"OLLAMA_REGISTRY": registry.address}) as first,
        serving(tmp_path / "second", env={"OLLAMA_REGISTRY": first}) as second,
    ):
        got = pull(tmp_path / "ollama", second, "library/m", least=PART)
    assert got == registry.manifests["library/m", "latest"]
    whole(tmp_path / "ollama", second)
    assert fetched(registry) == sum(map(len, (DATA, OTHER, ANSWER, b"{}")))


# --- the Hub's own registry


def hub(data: bytes, seen: list[Request], allowed: str = "") -> Scripted:
    """The Hub's interface for Ollama, for those with the `allowed` header: manifests in two dialects, and blobs."""

    def script(request: Request) -> Answer:
        seen.append(request)
        if request.target == "/api/models/o/r/revision/main":
            facts = {"id": "o/r", "sha": "0" * 40, "private": False, "gated": "manual" if allowed else False}
            return Answer(200, {"Content-Type": "application/json"}, json.dumps(facts).encode())
        if request.headers.get("authorization", "") != allowed:
            return Answer(401, {}, b"{}")
        if request.target.startswith("/v2/o/r/manifests/"):
            is_llama_cpp = request.headers.get("user-agent") == "llama-cpp"
            more = {"ggufFile": {"rfilename": "r-Q4_K_M.gguf"}} if is_llama_cpp else {}
            return Answer(200, {"Content-Type": MANIFEST}, manifest([layer(MODEL, data)], **more))
        return answer(request, File.of(b"{}" if request.target.endswith(digest_of(b"{}")) else data))

    return Scripted(script)


def test_llama_cpp_is_answered_by_the_hub(registry: Registry, tmp_path: Path) -> None:
    """In its own dialect, also with the Hub gone; for Ollama the same path is Ollama's."""
    registry.push("o/r", "Q4_K_M", (MODEL, OTHER))
    seen: list[Request] = []
    with hub(DATA, seen) as upstream:
        env = {"OLLAMA_REGISTRY": registry.address, "HF_ENDPOINT": upstream.url("")}
        with serving(tmp_path, env=env) as address:
            given = ask(address, "/v2/o/r/manifests/Q4_K_M", User_Agent="llama-cpp/b7000")
            assert (given[0], json.loads(given[2])["ggufFile"]["rfilename"]) == (200, "r-Q4_K_M.gguf")
            assert "ggufFile" not in json.loads(ask(address, "/v2/o/r/manifests/Q4_K_M")[2])
            assert {request.headers.get("user-agent") for request in seen} >= {"llama-cpp"}
            upstream.close()
            assert ask(address, "/v2/o/r/manifests/Q4_K_M", User_Agent="llama-cpp")[2] == given[2]


def test_what_is_known_from_the_hub_is_pulled_from_it(registry: Registry, tmp_path: Path) -> None:
    """By Ollama, under the Hub's name."""
    with hub(DATA, []) as upstream:
        env = {"OLLAMA_REGISTRY": registry.address, "HF_ENDPOINT": upstream.url("")}
        known = f"{upstream.url('/o/r/resolve/main/x.gguf')}#sha256={hashlib.sha256(DATA).hexdigest()}"
        assert luci("install", known, "--dir", tmp_path / "shelf").returncode == 0
        with serving(tmp_path, env=env) as address:
            pull(tmp_path / "ollama", address, "o/r", "Q4_K_M", PART)
    assert listed(tmp_path / "ollama")[f"{urlsplit(address).netloc}/o/r/Q4_K_M"]["model"] == DATA
    assert registry.front.exchanges() == []


def test_a_gated_model_is_for_those_whom_the_hub_gives_it(tmp_path: Path) -> None:
    """Its manifest and its blobs; when the Hub cannot be asked, for nobody."""
    with hub(DATA, [], allowed="Bearer good") as upstream:
        with serving(tmp_path, env={"HF_ENDPOINT": upstream.url("")}) as address:
            path, agent = "/v2/o/r/manifests/Q4_K_M", "llama-cpp"
            assert ask(address, path, User_Agent=agent)[0] == 401
            assert ask(address, path, User_Agent=agent, Authorization="Bearer bad")[0] == 401
            assert ask(address, path, User_Agent=agent, Authorization="Bearer good")[0] == 200
            blob = f"/v2/o/r/blobs/{digest_of(DATA)}"
            assert ask(address, blob)[0] == 401
            assert ask(address, blob, Authorization="Bearer good")[::2] == (200, DATA)
            assert ask(address, blob, Authorization="Bearer bad")[0] == 403
            assert ask(address, path, User_Agent=agent)[0] == 401
        upstream.close()
        with serving(tmp_path, env={"HF_ENDPOINT": upstream.url("")}) as address:
            assert ask(address, blob, Authorization="Bearer good")[0] == 504
