"""Without a digest, the header of a GGUF file may still show that it is truncated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import assert_nothing_left, assert_refused, sha256
from tests.gguf.files import V3, model
from tests.procs import luci
from tests.servers import FaultyServer


@pytest.mark.parametrize("cut", [1, 800])
def test_a_truncated_file_is_refused_and_removed(server: FaultyServer, home: Path, cut: int) -> None:
    """The length from the server is right, so only the header shows it."""
    url = server.serve("/cut.gguf", model(cut=cut))
    ended = luci("install", url)
    assert_refused(ended, 5, "cut.gguf is truncated", "header promises", "another address")
    assert_nothing_left(home / "models")


def test_a_whole_file_is_installed(server: FaultyServer, home: Path) -> None:
    """luci reports what it could check and what not."""
    url = server.serve("/whole.gguf", model())
    ended = luci("install", url)
    assert ended.returncode == 0
    assert "no digest is known, so nothing but its length and header was checked" in ended.stderr
    assert_nothing_left(home / "models", "whole.gguf")


def test_a_header_of_a_later_version_is_no_reason_to_refuse(server: FaultyServer, home: Path) -> None:
    url = server.serve("/later.gguf", b"GGUF" + V3.number("I", 9) + bytes(1000))
    assert luci("install", url).returncode == 0
    assert_nothing_left(home / "models", "later.gguf")


def test_a_digest_overrules_the_header(server: FaultyServer, home: Path) -> None:
    """The digest names exactly these bytes, truncated or not."""
    data = model(cut=1)
    url = server.serve("/cut.gguf", data)
    assert luci("install", url, "--sha256", sha256(data)).returncode == 0
