"""What fits this machine, as a user sees it: with a graphics card by a fake nvidia-smi."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.shop import assert_nothing_left, assert_refused
from tests.formats.files import V3
from tests.procs import luci
from tests.servers.hub import Hub

HEADER = V3.file(
    [V3.string("general.architecture", "llama")]
    + [V3.u32(f"llama.{key}", value) for key, value in {"block_count": 32, "embedding_length": 4096}.items()]
    + [V3.u32("llama.attention.head_count", 32), V3.u32("llama.attention.head_count_kv", 8)]
)
CACHE = 1 << 30  # with 8192 tokens


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with three quantisations of a model that sees."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        sizes = {"m-Q2_K.gguf": 2000, "m-Q4_K_M.gguf": 4000, "m-Q8_0.gguf": 8000, "mmproj-F16.gguf": 1000}
        hub.add("me/m", {name: HEADER + bytes(size - len(HEADER)) for name, size in sizes.items()})
        yield hub


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Puts a graphics card with so many MiB into the machine."""

    def put(size: int) -> None:
        tool = tmp_path / "tools/nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\necho '{size}, 1'\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tool.parent), prepend=":")

    return put


def test_info_lists_the_quantisations_of_a_repository(hub: Hub, card: Callable[[int], None]) -> None:
    """With sizes and verdicts; which is the default, and which is installed."""
    luci("install", "hf:me/m:Q8_0")
    card(4096)
    shown = luci("info", "hf:me/m")
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["hf:me/m"],
        ["QUANTISATION", "SIZE", "RUNNING", "FITS"],
        ["Q2_K", "3.0kB", "1.6GB", "card"],
        ["Q4_K_M", "5.0kB", "1.6GB", "card", "default"],
        ["Q8_0", "9.0kB", "1.6GB", "card", "installed"],
    ]
    longer = luci("info", "hf:me/m", "--context", "32768").stdout.splitlines()
    assert longer[2].split() == ["Q2_K", "3.0kB", "4.8GB", "partly"]
    facts = json.loads(luci("info", "https://huggingface.co/me/m", "--json").stdout)
    assert (facts["name"], facts["installed"], facts["running"]) == ("https://huggingface.co/me/m", [], None)
    one = facts["quantisations"][1]
    assert (one["reference"], one["files"]) == ("hf:me/m:Q4_K_M", ["m-Q4_K_M.gguf", "mmproj-F16.gguf"])
    assert (one["fit"]["verdict"], one["fit"]["cache"]) == ("fits the card", CACHE)
    assert one["fit"]["graphics"] == {"total": 4096 << 20, "free": 1 << 20}


def test_info_of_an_installed_model_says_what_running_it_takes(hub: Hub, card: Callable[[int], None]) -> None:
    """With the projector, and the cache by its header; no server is asked."""
    luci("install", "hf:me/m:Q4_K_M")
    card(1024)
    asked = len(hub.seen())
    rows = luci("info", "hf:me/m:Q4_K_M", "--context", "4096").stdout
    assert "  Running    part on the processor: it takes 5.0kB of weights + 537MB of cache for 4096 tokens + " in rows
    assert len(hub.seen()) == asked


def test_info_without_a_line_shows_what_is_installed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a warning; where nothing is installed, that is an error."""
    luci("install", "hf:me/m")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shown = luci("info", "hf:me/m")
    assert "Installed" in shown.stdout
    assert "what else the repository has is unknown" in shown.stderr
    assert_refused(luci("info", "hf:me/other"), 4, "luci is offline")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert_refused(luci("info", "hf:me/other"), 3, "me/other")


def test_info_of_a_repository_without_gguf_says_so(hub: Hub) -> None:
    """If it is installed, it is shown as before."""
    hub.add("me/other", {"model.safetensors": b"x" * 100})
    assert_refused(luci("info", "hf:me/other"), 3, "hf:me/other has no GGUF file", "--all-files")
    hub.add("me/other", {"config.json": b"{}"})
    luci("install", "hf:me/other", "--all-files")
    shown = luci("info", "hf:me/other")
    assert ("Installed" in shown.stdout, "QUANTISATION" in shown.stdout, shown.stderr) == (True, False, "")


def test_a_context_of_nothing_is_refused(hub: Hub) -> None:
    assert_refused(luci("info", "hf:me/m", "--context", "0"), 2, "expected a number of tokens, found 0")


def test_what_fits_is_installed_and_found_again(hub: Hub, models: Path, card: Callable[[int], None]) -> None:
    """By the word that was asked, too, and without a line."""
    card(4096)
    ended = luci("install", "hf:me/m:fit")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [str(models / "me/m/m-Q8_0.gguf"), str(models / "me/m/mmproj-F16.gguf")]
    assert (
        "hf:me/m:fit is hf:me/m:Q8_0, which fits the card: it takes 9.0kB of weights + 1.1GB of cache" in ended.stderr
    )
    for word in ("hf:me/m:fit", "hf:me/m:Q8_0"):
        assert luci("path", word).stdout.splitlines() == ended.stdout.splitlines()[:1]
    offline = luci("install", "--offline", "hf:me/m:fit")
    assert "already installed" in offline.stderr
    luci("remove", "--yes", "hf:me/m:fit")
    assert_nothing_left(models)
