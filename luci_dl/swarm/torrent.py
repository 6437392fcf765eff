"""One file that is shared: what is said about its pieces, and which of them are in the file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import libtorrent as lt

from luci_dl.errors import NetworkError
from luci_dl.frozen import frozen
from luci_dl.plan import Segment


class Unfit(Exception):
    """The metainfo is none, or not that of the file."""


@frozen
class Metainfo:
    """What a server says about the pieces of a file. A wrong one only means wrong bytes, which a digest shows.

    Attributes:
        data: bencoded, version 2.
        piece: bytes of each piece but the last.
    """

    data: bytes
    size: int
    piece: int

    @classmethod
    def of(cls, data: bytes, size: int, block: int) -> Metainfo:
        """Read it. Raises: Unfit, unless it is of one plain file of that size, in pieces of whole blocks."""
        try:
            info: Any = lt.load_torrent_buffer(data).ti
        except RuntimeError as error:
            raise Unfit(str(error)) from error
        files, piece = info.layout(), info.piece_length()
        flags = [files.file_flags(number) for number in range(files.num_files())]
        is_plain = flags in ([0], [0, files.flag_pad_file]) and info.info_hashes().has_v2()  # it pads the last piece
        if not is_plain or files.file_size(0) != size or piece % block:
            raise Unfit("it is not that of the file")
        return cls(data, size, piece)


class Torrent:
    """One file of the session. Any thread may call.

    Attributes:
        metainfo: that it was made of.
    """

    def __init__(self, handle: Any, metainfo: Metainfo, absent: set[int], remove: Callable[[], None]) -> None:
        self.metainfo = metainfo
        self._absent = absent  # pieces to be reported
        self._handle = handle
        self._remove = remove
        self._finished = set[int]()  # pieces that are right, but perhaps not in the file yet
        self._flushing = set[int]()  # those of them that the flush under way is about
        self._written = list[int]()
        self._error = ""
        self._ended = False
        self._left = threading.Event()
        self._lock = threading.Lock()

    def is_of(self, alert: Any) -> bool:
        return bool(alert.handle == self._handle)

    def note(self, alert: Any) -> None:
        """Take an alert of libtorrent."""
        with self._lock:
            match alert:
                case lt.piece_finished_alert():  # of those that were there, too
                    self._finished |= {int(alert.piece_index)} & self._absent
                case lt.cache_flushed_alert():  # all that was finished when it was asked for is in the file
                    self._written += self._flushing
                    self._flushing = set()
                case lt.file_error_alert() | lt.torrent_error_alert():
                    self._error = self._error or alert.message()
                case lt.torrent_removed_alert():
                    self._left.set()

    def written(self) -> list[Segment]:
        """Pieces that are right and in the file now, and were not with the last call. Raises: NetworkError."""
        with self._lock:
            if self._error:
                raise NetworkError(f"the swarm failed: {self._error}")
            found, self._written = self._written, []
            if self._finished and not self._flushing:
                self._flushing, self._finished = self._finished, set()
                self._handle.flush_cache()
        size, piece = self.metainfo.size, self.metainfo.piece
        return [Segment(number * piece, min((number + 1) * piece, size)) for number in sorted(found)]

    @property
    def downloaded(self) -> int:
        """Bytes of the file that are there, also of pieces that are not complete; those of wrong pieces no more."""
        return int(self._handle.status().total_done)

    def connect(self, address: str, port: int) -> None:
        """Ask a peer for pieces, unless that happens already."""
        with contextlib.suppress(RuntimeError):  # not an address
            self._handle.connect_peer((address, port))

    def end(self) -> None:
        """Let it end soon. Harmless twice."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._remove()

    def leave(self) -> None:
        """End it. Returns when libtorrent has closed the file, and writes no more."""
        self.end()
        self._left.wait()


def pieces(segment: Segment, metainfo: Metainfo) -> range:
    """The numbers of those that have bytes in the segment."""
    end = metainfo.size if segment.end is None else segment.end
    return range(segment.start // metainfo.piece, -(-end // metainfo.piece))
