"""The metainfo of a file is what libtorrent itself makes of it."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from luci_dl.errors import IntegrityError
from luci_dl.serve.metainfo import MAX_PIECE, MIN_PIECE, bencoded, metainfo, piece_length, with_web_seed

PIECE = MIN_PIECE


def made(data: bytes) -> dict[bytes, Any]:
    """Of these bytes, read again."""
    found: Any = lt.bdecode(metainfo(hashlib.sha256(data).hexdigest(), len(data), io.BytesIO(data).read, lambda: None))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("size", [PIECE + 1, 2 * PIECE, 3 * PIECE + 5, 5 * PIECE - 16384, 8 * PIECE + 16384])
def test_it_is_what_libtorrent_makes(tmp_path: Path, size: int) -> None:
    """The info, its hash, and the layer of the pieces."""
    data = random.Random(size).randbytes(size)
    sha256 = hashlib.sha256(data).hexdigest()
    (tmp_path / sha256).write_bytes(data)
    flags: Any = lt.create_torrent.v2_only
    theirs = lt.create_torrent([lt.create_file_entry(sha256, size)], PIECE, flags)
    theirs.set_priv(True)
    lt.set_piece_hashes(theirs, str(tmp_path))
    expected: Any = theirs.generate()
    found = made(data)
    assert found[b"info"] == expected[b"info"]
    assert found[b"piece layers"] == expected[b"piece layers"]


def test_a_client_reads_it() -> None:
    """It is private, of version 2 alone, and names the server as the web seed."""
    data = random.Random(0).randbytes(2 * PIECE)
    sha256 = hashlib.sha256(data).hexdigest()
    text = metainfo(sha256, len(data), io.BytesIO(data).read, lambda: None)
    given: Any = lt.load_torrent_buffer(with_web_seed(text, "http://lab:8480/luci/v1/files/"))
    assert given.ti.priv()
    assert given.ti.info_hashes().has_v2()
    assert not given.ti.info_hashes().has_v1()
    assert str(given.ti.info_hashes().v2) == hashlib.sha256(bencoded(made(data)[b"info"])).hexdigest()
    assert given.url_seeds == ["http://lab:8480/luci/v1/files/"]
    assert given.trackers == []


def test_other_bytes_than_expected_have_none() -> None:
    """A file that was changed behind luci's back is not shared."""
    with pytest.raises(IntegrityError):
        metainfo("0" * 64, 2 * PIECE, io.BytesIO(bytes(2 * PIECE)).read, lambda: None)


def test_pieces_are_few_and_of_whole_blocks() -> None:
    """Larger ones for larger files, within limits."""
    assert piece_length(1 << 30) == MIN_PIECE
    assert piece_length(40 << 30) == 8 << 20
    assert piece_length(1 << 50) == MAX_PIECE
