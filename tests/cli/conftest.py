from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import Shop
from tests.servers import FaultyServer


@pytest.fixture
def models(home: Path) -> Path:
    """The models folder, which does not exist yet."""
    return home / "models"


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A catalog of the user's own, whose files the test's server has."""
    shop = Shop(server, tmp_path / "catalog.toml")
    monkeypatch.setenv("LUCI_CATALOG", str(shop.file))
    return shop


@pytest.fixture
def ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ollama's folder, which is empty."""
    (tmp_path / "ollama").mkdir()
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    return tmp_path / "ollama"
