"""What is on the shelf."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.serve.shelf import Shelf
from tests.cli.shop import sha256
from tests.servers import FaultyServer

DATA = make_gguf(30_000)


@pytest.mark.parametrize("public", ["a.gguf", "b.gguf"])
def test_of_two_files_with_the_same_bytes_the_public_one_counts(
    server: FaultyServer, tmp_path: Path, public: str
) -> None:
    """Whichever was installed first: its bytes are for everybody."""
    for name in ("a.gguf", "b.gguf"):
        luci_dl.install(f"{server.serve(f'/{name}', DATA)}#sha256={sha256(DATA)}", folder=tmp_path)
        path = staging_for(tmp_path, name).receipt
        known = receipt.read(path)
        assert known
        receipt.write(path, replace(known, access="public" if name == public else "unknown"))
    found = Shelf([tmp_path]).find(sha256(DATA))
    assert found
    assert (found.name, found.access) == (public, "public")


def test_a_file_that_was_replaced_is_not_opened(server: FaultyServer, tmp_path: Path) -> None:
    """By one of another model, between the look and the opening."""
    (path,) = luci_dl.install(f"{server.serve('/a.gguf', DATA)}#sha256={sha256(DATA)}", folder=tmp_path)
    found = Shelf([tmp_path]).find(sha256(DATA))
    assert found
    other = path.with_suffix(".other")
    other.write_bytes(DATA[:-1] + b"!")
    other.rename(path)
    with pytest.raises(OSError, match="has changed"):
        found.descriptor()
