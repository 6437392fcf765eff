"""The folder of config.json."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def luci_home() -> Path:
    """The default LUCI_HOME, which exists but is empty."""
    folder = Path("~/.luciferai").expanduser()
    folder.mkdir(parents=True)
    return folder
