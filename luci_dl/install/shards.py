"""The shards that the index of a model in safetensors names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.text import counted, printable

_SUFFIX = ".safetensors.index.json"
_MAX_INDEX = 16 << 20


def missing_shards(index: Path, target: Path, others: Iterable[Path]) -> str:
    """What is missing beside an index, as a sentence; empty if all shards are there, or the file is no index.

    Args:
        index: where its bytes are now; target: where it will be.
        others: the targets of the files that are installed with it.

    Raises: StorageError.
    """
    if not target.name.endswith(_SUFFIX):
        return ""
    named = {target.parent / name for name in _shards(fs.read_at(fs.open_to_read(index), _MAX_INDEX, 0))}
    missing = sorted(path.name for path in named.difference(others) if not os.path.lexists(path))
    if not missing:
        return ""
    return f"{target.name} names {counted(len(missing), 'file')} that will be missing, such as {printable(missing[0])}"


def _shards(data: bytes) -> set[str]:
    try:
        weights = json.loads(data)["weight_map"]
        return {name for name in weights.values() if isinstance(name, str)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return set()
