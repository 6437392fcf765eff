"""`luci push`, as processes, with a real store on the loopback, and installs of what was pushed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import ollama_rules
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.procs import Code, Spawned, luci, wait_until
from tests.servers.registry import MODEL, TEMPLATE, Registry

if TYPE_CHECKING:
    from tests.bucket import Call, Store

BIG = make_gguf(24 << 20)


def test_what_was_pushed_is_installed_elsewhere(
    store: Store, shop: Shop, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the place alone; luci prints one result a line as JSON."""
    shop.sell("m", files=["m.gguf", "m-mmproj.gguf"])
    assert luci("install", "m").returncode == 0
    ended = luci("push", "m", "s3://models/lab", "--json")
    assert ended.returncode == 0, ended.stderr
    (pushed,) = [json.loads(line) for line in ended.stdout.splitlines() if '"moved"' in line]
    assert (pushed["folder"], pushed["outcome"], pushed["copied"]) == ("s3://models/lab/m", "pushed", 2 * len(DATA))
    assert "is already in s3://models/lab/m" in luci("push", "m", "s3://models/lab").stdout
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    other = tmp_path / "elsewhere/models"
    assert luci("install", "--dry-run", "--json", pushed["folder"]).stdout.count('"digest_origin": "bucket"') == 2
    assert luci("install", "s3://models/lab/m").stdout.splitlines()[0] == f"{other}/m.gguf"
    assert_nothing_left(other, "m.gguf", "m-mmproj.gguf")
    (model,) = json.loads(luci("list", "--json").stdout)
    assert model["name"] == "s3://models/lab/m"
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "current"
    (other / "m.gguf").write_bytes(DATA[:-1] + b"!")
    assert luci("verify", "--repair").returncode == 0
    assert (other / "m.gguf").read_bytes() == DATA


def test_a_manifest_that_lies_installs_nothing(
    store: Store, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About the bytes of a file, or where it goes."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("push", "m", "s3://models/lab").returncode == 0
    manifest = store.get("lab/m/luci.json")
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    store.put("lab/m/luci.json", manifest.replace(b'"m.gguf"', b'"../m.gguf"'))
    assert_refused(luci("install", "s3://models/lab/m"), 3, "not a valid manifest", "..")
    store.put("lab/m/luci.json", manifest)
    store.put(f"lab/m/{sha256(DATA)}/m.gguf", OTHER)
    assert_refused(luci("install", "s3://models/lab/m"), 5, "wrong")
    assert_nothing_left(tmp_path / "elsewhere/models")


def test_a_model_of_ollama_s_registry_keeps_its_template(
    store: Store, ollama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way through a bucket, so that it is linked to Ollama as one from the registry is."""
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, b"{{ .Prompt }}"))
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        assert luci("install", "ollama:m").returncode == 0
    assert luci("push", "ollama:m", "s3://models/lab").returncode == 0
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    assert luci("install", "s3://models/lab/ollama-m-latest").returncode == 0
    ended = luci("link", "ollama", "s3://models/lab/ollama-m-latest")
    assert ended.returncode == 0, ended.stderr
    (linked,) = ollama_rules.listed(ollama).values()
    assert (linked["model"], linked["template"]) == (DATA, b"{{ .Prompt }}")


def test_what_is_pushed_anew_is_an_upgrade(store: Store, shop: Shop, tmp_path: Path) -> None:
    """For those who installed the earlier one from there."""
    other = {"LUCI_HOME": str(tmp_path / "elsewhere")}
    for data, state in ((DATA, "current"), (OTHER, "outdated")):
        shop.sell("m", data)
        assert luci("install", "m", "--force").returncode == 0
        assert luci("push", "m", "s3://models/lab").returncode == 0
        assert luci("install", "s3://models/lab/m", env=other).returncode == 0
        assert json.loads(luci("outdated", "--json", env=other).stdout)[0]["state"] == state
    assert luci("upgrade", "--all", "--yes", env=other).returncode == 0
    assert (tmp_path / "elsewhere/models/m.gguf").read_bytes() == OTHER


def test_an_interrupted_push_leaves_no_manifest(store: Store, shop: Shop, models: Path) -> None:
    """It dies of the signal; the next one completes it."""
    shop.sell("big", BIG)
    assert luci("install", "big").returncode == 0

    def slow(call: Call) -> None:
        time.sleep(0.2 if call.method == "PUT" else 0)

    store.refuse = slow
    small_parts = Code("from luci_dl.net import objects; objects.PART_BYTES = 5 << 20; objects.PARTS_AT_ONCE = 1")
    with Spawned("push", "big", "s3://models/lab", command=small_parts) as run:
        wait_until(lambda: bool(store.asked("PUT")))
        run.signal(signal.SIGINT)
        began = time.monotonic()
        assert run.wait() == -signal.SIGINT
        assert time.monotonic() - began < 5
    assert "Push interrupted by user" in run.err
    assert "Traceback" not in run.err
    assert store.keys() == []
    assert store.unfinished() == 0
    store.refuse = lambda _call: None
    assert luci("push", "big", "s3://models/lab").returncode == 0
    assert store.get(f"lab/big/{sha256(BIG)}/big.gguf") == BIG


def test_an_object_of_several_parts_is_verified_by_its_digest(
    store: Store, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ETag is none."""
    shop.sell("big", BIG)
    assert luci("install", "big").returncode == 0
    assert luci("push", "big", "s3://models/lab").returncode == 0
    assert {call.query.get("partNumber") for call in store.calls if call.method == "PUT"} > {"1", "2", "3"}
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    assert luci("install", "s3://models/lab/big").returncode == 0
    receipt = json.loads((tmp_path / "elsewhere/models/.luci/big.gguf.receipt").read_bytes())
    assert receipt["validator"].endswith('-3"')
    assert (receipt["sha256"], receipt["proof"]) == (sha256(BIG), "sha256")
