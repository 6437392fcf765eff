"""An index in safetensors whose shards are not all there is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luci_dl.disk.layout import Staging, staging_for
from luci_dl.install.shards import missing_shards

NAME = "model.safetensors.index.json"
SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def index(folder: Path, content: object, name: str = NAME) -> Staging:
    """A part with that content."""
    staging = staging_for(folder, name)
    staging.part.parent.mkdir(exist_ok=True)
    staging.part.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return staging


def test_shards_that_will_be_there_are_not_missing(tmp_path: Path) -> None:
    """Some are installed with the index, some are there already."""
    content = {"weight_map": dict(zip("abc", SHARDS, strict=True))}
    part, others = index(tmp_path, content), [SHARDS[0], NAME]
    said = missing_shards(part, others)
    assert said == f"{NAME} names 2 files that will be missing, such as {SHARDS[1]}"
    for shard in SHARDS[1:]:
        (tmp_path / shard).touch()
    assert missing_shards(part, others) == ""
    assert missing_shards(index(tmp_path, content, "other.json"), []) == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 99999, b"\xff", [], {}, {"weight_map": None}, {"weight_map": {"a": 1}}, {"weight_map": [1]}],
)
def test_what_is_no_index_names_nothing(tmp_path: Path, content: object) -> None:
    assert missing_shards(index(tmp_path, content), []) == ""


@pytest.mark.parametrize("shard", ["../" * 99, "a" * 9999, "\0", "\ud800", "\x1b[2J"])
def test_hostile_names_do_no_harm(tmp_path: Path, shard: str) -> None:
    said = missing_shards(index(tmp_path, {"weight_map": {"a": shard}}), [])
    assert said.isprintable()
