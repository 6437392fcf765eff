from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.hub import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub without repositories."""
    with Hub() as hub:
        yield hub
