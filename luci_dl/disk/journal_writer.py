"""Appends to a journal, whose format and meaning `journal` knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.blocks import KIND
from luci_dl.disk.formats import VERSION
from luci_dl.disk.guarded_file import Gate
from luci_dl.disk.journal import CommitEntry, Header, Log, encode
from luci_dl.disk.watch import vanished
from luci_dl.plan import Segment


class Journal:
    """The journal of a part that is being filled. Every change raises: Revoked, when the gate is closed."""

    def __init__(self, path: Path, gate: Gate | None = None) -> None:
        self.path = path
        self._gate = gate or Gate()
        self._file: fs.File | None = None
        self._end = 0

    def begin(self, header: Header) -> None:
        """Start over with this header, in a new file. Raises: StorageError."""
        with self._gate.naming():
            fs.unlink(self.path)
            self._file, self._end = fs.create(self.path), 0
            self._append({"v": VERSION, **header.to_json()})

    def resume(self, log: Log) -> None:
        """Continue behind the last good line. Raises: StorageError."""
        with self._gate.naming():
            file = fs.open_own(self.path)
            if file:
                fs.set_length(file, log.end)
            self._file, self._end = file, log.end

    def checkpoint(self, offset: int, sha256: str) -> None:
        """Record that the first `offset` bytes of the part are on disk and have this digest. Raises: StorageError."""
        with self._gate.change():
            self._append({"at": offset, "sha256": sha256})

    def add_blocks(self, number: int, text: str) -> None:
        """Record that blocks from that number on are on disk, and have the digests in `text`. Raises: StorageError."""
        with self._gate.change():
            self._append({"blocks": number, KIND: text})

    def forget(self, segments: Sequence[Segment]) -> None:
        """Record that these bytes are missing, so that nothing said before about them counts. Raises: StorageError."""
        with self._gate.change():
            self._append({"missing": [[segment.start, segment.end] for segment in segments]})

    def finish(self, entry: CommitEntry) -> None:
        """Append the last line; when this returns, all lines and the name are on disk. Raises: StorageError."""
        with self._gate.change():
            self._append({"done": asdict(entry)})
        fs.sync_data(self._open_file())
        fs.sync_folder(self.path.parent)
        self.close_until_used()

    def close_until_used(self) -> None:
        """Close the file until the next line."""
        self._file = None

    def _append(self, fields: Mapping[str, Any]) -> None:
        line = encode(fields)
        fs.write_at(self._open_file(), line, self._end)
        self._end += len(line)

    def _open_file(self) -> fs.File:
        if self._file is None:
            with self._gate.naming():
                self._file = fs.open_own(self.path)
            if self._file is None or self._file.size != self._end:
                raise vanished(self.path)
        return self._file
