"""A config.json for a test."""

from __future__ import annotations

import json
from pathlib import Path


def write(luci_home: Path, **values: object) -> Path:
    """A config.json with these values."""
    file = luci_home / "config.json"
    file.write_text(json.dumps(values))
    return file
