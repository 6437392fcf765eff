"""`luci info`: GGUF headers and partial downloads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shop import Shop, assert_refused
from tests.disk.hands import held, kill_after, sync_every
from tests.formats.files import REAL, V3, model
from tests.procs import luci


def rows_of(name: str) -> dict[str, str]:
    """The text of each label; of a repeated one the last."""
    lines = luci("info", name).stdout.splitlines()[1:]
    return {line[2:13].strip(): line[13:] for line in lines}


def test_the_header_of_an_installed_model_is_shown(shop: Shop, models: Path) -> None:
    """As llama.cpp's own writer wrote it."""
    shop.sell("real", REAL)
    luci("install", "real")
    rows = rows_of("real")
    assert rows["GGUF"] == "llama"
    assert rows["Name"] == "Tiny é"
    assert rows["License"] == "apache-2.0"
    assert rows["Parameters"] == "4.1K (4096)"
    assert rows["Quant"] == "Q4_K_M"
    assert rows["Context"] == "8192 tokens"
    assert rows["Tokenizer"] == "gpt2, 8 tokens"
    assert rows["Tensors"] == "4: 1 F32, 1 Q4_K, 1 Q6_K, 1 Q8_0"
    (shown,) = json.loads(luci("info", "real", "--json").stdout)["gguf"]
    assert (shown["path"], shown["problem"]) == (str(models / "real.gguf"), "")
    assert shown["header"]["architecture"] == "llama"


def test_a_truncated_file_is_shown(shop: Shop, models: Path) -> None:
    """Without hashing it and without failing: everything else is shown."""
    shop.sell("cut", model())
    luci("install", "cut")
    (models / "cut.gguf").write_bytes(model(cut=1))
    assert rows_of("cut")["GGUF"].startswith("cut.gguf is truncated or damaged: its header promises")
    (shown,) = json.loads(luci("info", "cut", "--json").stdout)["gguf"]
    assert shown["header"] is None
    assert "truncated" in shown["problem"]


def test_a_header_of_another_form_is_no_trouble(shop: Shop) -> None:
    """Nor is one with escape sequences."""
    shop.sell("later", b"GGUF" + V3.number("I", 9) + bytes(100))
    shop.sell("evil", V3.file([V3.string("general.architecture", "\x1b[2J"), V3.string("general.name", "a\nb")]))
    luci("install", "later", "evil")
    assert rows_of("later")["GGUF"] == "its header has a format that this version of luci does not know"
    rows = rows_of("evil")
    assert (rows["GGUF"], rows["Name"], rows["Tensors"]) == (r"\x1b[2J", r"a\nb", "none")


@pytest.fixture
def begun(shop: Shop, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The part of the model "half", of which 200 kB are verified."""
    data = model() + bytes(300_000)
    shop.sell("half", data)
    sync_every(monkeypatch, 1 << 16)
    kill_after(models, data, 200_000, "half.gguf")
    return models / ".luci/half.gguf.part"


def test_a_partial_download_is_shown(begun: Path, models: Path) -> None:
    """How much of it is verified, and what the next install does."""
    rows = rows_of("half")
    assert rows["Installed"] == "not yet"
    assert rows["Partial"] == str(begun)
    assert rows["Verified"].startswith("200kB of ")
    assert rows["State"] == "the next install resumes it"
    with held(models, "half.gguf"):
        assert rows_of("half")["State"] == "being downloaded now"
    (shown,) = json.loads(luci("info", "half", "--json").stdout)["partial"]
    assert shown["path"] == str(begun)
    assert shown["target"] == str(models / "half.gguf")
    assert (shown["done"], shown["running"]) == (200_000, False)


def test_a_partial_download_is_found_by_its_file_name(begun: Path, shop: Shop) -> None:
    shop.file.write_text("")
    assert rows_of("half.gguf")["Partial"] == str(begun)
    assert_refused(luci("info", "halb.gguf"), 3, "no model")


def test_an_invalid_journal_is_ignored(begun: Path) -> None:
    """`luci clean` reports it."""
    begun.with_suffix(".journal").write_bytes(b"nonsense\n")
    assert "Partial" not in rows_of("half")
    assert json.loads(luci("info", "half", "--json").stdout)["partial"] == []
