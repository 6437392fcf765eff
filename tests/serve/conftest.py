"""What tests of the server share. `lab` needs a fixture `hub` of the test's own file: what its Hub has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nginx import free_port
from tests.serve.lab import Lab
from tests.servers.hub import Hub


@pytest.fixture
def port() -> int:
    """One that is free now."""
    return free_port()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The models folder of the server."""
    return tmp_path / "models"


@pytest.fixture
def lab(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A running server."""
    with Lab(monkeypatch, models) as lab:
        yield lab
