"""The shards that the index of a model in safetensors names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from luci_dl.disk import fs
from luci_dl.disk.layout import Staging
from luci_dl.text import counted, printable

_SUFFIX = ".safetensors.index.json"
_MAX_INDEX = 16 << 20


def missing_shards(staging: Staging, others: Iterable[str]) -> str:
    """What is missing beside an index in a part, as a sentence; empty if all shards are there, or it is no index.

    Args:
        others: the names of the files that are installed with it.

    Raises: StorageError.
    """
    target = staging.target
    if not target.name.endswith(_SUFFIX):
        return ""
    named = {target.parent / name for name in _shards(fs.read_at(fs.open_to_read(staging.part), _MAX_INDEX, 0))}
    others_there = (staging.folder / name for name in others)
    missing = sorted(path.name for path in named.difference(others_there) if not os.path.lexists(path))
    if not missing:
        return ""
    return f"{target.name} names {counted(len(missing), 'file')} that will be missing, such as {printable(missing[0])}"


def _shards(data: bytes) -> set[str]:
    try:
        weights = json.loads(data)["weight_map"]
        return {name for name in weights.values() if isinstance(name, str)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return set()
