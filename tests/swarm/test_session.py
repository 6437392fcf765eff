"""The door to libtorrent: what it may write, what it is told, and when it has let go."""

from __future__ import annotations

import hashlib
import io
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from luci_dl.disk.blocks import BLOCK
from luci_dl.errors import NetworkError
from luci_dl.plan import Segment
from luci_dl.serve.metainfo import metainfo
from luci_dl.swarm.session import Session
from luci_dl.swarm.torrent import Metainfo, Unfit
from tests.procs import wait_until

DATA = random.Random(1).randbytes(5 * BLOCK + 7)
SIZE = len(DATA)
TEXT = metainfo(hashlib.sha256(DATA).hexdigest(), SIZE, io.BytesIO(DATA).read, lambda: None)


@pytest.fixture
def sessions() -> Iterator[tuple[Session, Session]]:
    both = Session("127.0.0.1"), Session("127.0.0.1")
    yield both
    for each in both:
        each.close()


def made(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return os.open(path, os.O_RDWR)


def test_pieces_come_into_the_open_file_whatever_its_name_leads_to(
    tmp_path: Path, sessions: tuple[Session, Session]
) -> None:
    """Only those that are missing are written, and none before it is reported."""
    (tmp_path / "whole").write_bytes(DATA)
    here, there = sessions
    given = Metainfo.of(TEXT, SIZE, BLOCK)
    assert there.seed(given, tmp_path / "whole")
    fd = made(tmp_path / "part", b"own" + bytes(SIZE - 3))
    (tmp_path / "part").unlink()
    (tmp_path / "part").write_bytes(b"of somebody else")
    torrent = here.fetch(given, fd, [Segment(BLOCK, SIZE)], "http://127.0.0.1:9/")
    assert torrent
    torrent.connect("127.0.0.1", there.port)
    found: list[Segment] = []

    def come() -> bool:
        for segment in torrent.written():
            assert segment.end
            assert os.pread(fd, segment.end - segment.start, segment.start) == DATA[segment.start : segment.end]
            found.append(segment)
        return len(found) == 5

    wait_until(come)
    torrent.leave()
    assert sorted(each.start for each in found) == [BLOCK * number for number in range(1, 6)]
    assert os.pread(fd, SIZE + 1, 0) == b"own" + bytes(BLOCK - 3) + DATA[BLOCK:]
    assert (tmp_path / "part").read_bytes() == b"of somebody else"
    os.close(fd)


def test_a_file_that_is_only_sent_is_never_changed(tmp_path: Path, sessions: tuple[Session, Session]) -> None:
    """Not even one whose bytes turn out to be others, when somebody has the right ones; and these are not sent."""
    here, there = sessions
    given = Metainfo.of(TEXT, SIZE, BLOCK)
    (tmp_path / "changed").write_bytes(b"x" * SIZE)
    (tmp_path / "whole").write_bytes(DATA)
    sending = there.seed(given, tmp_path / "changed")
    fd = made(tmp_path / "part", bytes(SIZE))
    torrent = here.fetch(given, fd, [Segment(0, SIZE)], "http://127.0.0.1:9/")
    assert sending
    assert torrent
    third = Session("127.0.0.1")
    third.seed(given, tmp_path / "whole")
    for each in (torrent, sending):
        each.connect("127.0.0.1", there.port)
        each.connect("127.0.0.1", third.port)
    came = list[Segment]()

    def come() -> bool:
        came.extend(torrent.written())
        return len(came) == 6

    wait_until(come)
    assert os.pread(fd, SIZE, 0) == DATA
    assert (tmp_path / "changed").read_bytes() == b"x" * SIZE
    for each in (torrent, sending):
        each.leave()
    third.close()
    os.close(fd)


def test_a_session_has_a_file_once(tmp_path: Path, sessions: tuple[Session, Session]) -> None:
    """Until it was left."""
    (tmp_path / "whole").write_bytes(DATA)
    given = Metainfo.of(TEXT, SIZE, BLOCK)
    torrent = sessions[0].seed(given, tmp_path / "whole")
    assert torrent
    assert sessions[0].seed(given, tmp_path / "whole") is None
    torrent.leave()
    again = sessions[0].seed(given, tmp_path / "whole")
    assert again
    again.leave()


def test_the_end_of_a_session_lets_go_of_all_files(tmp_path: Path) -> None:
    """Also of those that somebody waits for, and its thread ends."""
    session, fd = Session("127.0.0.1"), made(tmp_path / "part", bytes(SIZE))
    torrent = session.fetch(Metainfo.of(TEXT, SIZE, BLOCK), fd, [Segment(0, SIZE)], "http://127.0.0.1:9/")
    assert torrent
    session.close()
    torrent.leave()
    os.close(fd)
    wait_until(lambda: not any(each.name == "luci-swarm" for each in threading.enumerate()))


def test_what_fails_is_reported(tmp_path: Path, sessions: tuple[Session, Session]) -> None:
    """A file that cannot be as long, for example."""
    (tmp_path / "whole").write_bytes(DATA)
    here, there = sessions
    given = Metainfo.of(TEXT, SIZE, BLOCK)
    there.seed(given, tmp_path / "whole")
    full = os.open("/dev/full", os.O_RDWR)
    torrent = here.fetch(given, full, [Segment(0, SIZE)], "http://127.0.0.1:9/")
    assert torrent
    torrent.connect("127.0.0.1", there.port)
    with pytest.raises(NetworkError, match="the swarm failed: "):
        wait_until(torrent.written)
    torrent.leave()
    os.close(full)


def _other(**changed: object) -> bytes:
    found: Any = lt.bdecode(TEXT)
    info = {**found[b"info"], **{key.replace("_", " ").encode(): value for key, value in changed.items()}}
    return lt.bencode({**found, b"info": info})


LINKED = (
    b"d4:infod9:file treed1:ad0:d4:attr1:l6:lengthi0e12:symlink pathl3:etc6:passwdeeee"
    b"12:meta versioni2e4:name1:a12:piece lengthi1048576eee"
)
"""A symlink in place of a file."""


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"<html>", TEXT[:-20], LINKED, _other(piece_length=16 << 10), _other(file_tree={})],
)
def test_metainfo_of_anything_else_is_refused(data: bytes) -> None:
    """Also of a symlink, and in pieces that are no whole blocks."""
    with pytest.raises(Unfit):
        Metainfo.of(data, SIZE, BLOCK)


def test_metainfo_of_another_size_is_refused() -> None:
    """The size that the Hub states is what counts."""
    with pytest.raises(Unfit):
        Metainfo.of(TEXT, SIZE + 1, BLOCK)


def test_a_server_that_has_no_address_is_none() -> None:
    """The name cannot be looked up."""
    with pytest.raises(NetworkError):
        Session("no-such-host.invalid")
