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

    def record(self, blocks: Sequence[tuple[int, str]] = (), checkpoint: tuple[int, str] | None = None) -> None:
        """Record what is on disk, in one write, so that who is killed leaves all of it or nothing.

        Args:
            blocks: a number, and the digests in a text of the blocks from there on.
            checkpoint: a number of bytes from the beginning, and their SHA-256.

        Raises: StorageError.
        """
        lines: list[Mapping[str, Any]] = [{"blocks": number, KIND: text} for number, text in blocks]
        if checkpoint:
            lines.append({"at": checkpoint[0], "sha256": checkpoint[1]})
        with self._gate.change():
            self._append(*lines)

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

    def _append(self, *lines: Mapping[str, Any]) -> None:
        text = b"".join(map(encode, lines))
        fs.write_at(self._open_file(), text, self._end)
        self._end += len(text)

    def _open_file(self) -> fs.File:
        if self._file is None:
            with self._gate.naming():
                self._file = fs.open_own(self.path)
            if self._file is None or self._file.size != self._end:
                raise vanished(self.path)
        return self._file
