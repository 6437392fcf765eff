"""The part and the journal of one target: all changes of the two, until `close`."""

from __future__ import annotations

from luci_dl.disk import fs
from luci_dl.disk.guarded_file import Gate, GuardedFile
from luci_dl.disk.journal import Header, Log
from luci_dl.disk.journal_writer import Journal
from luci_dl.disk.layout import Staging


class PartFiles:
    """Two files with one gate. Once it is closed, no thread changes them or uses their names.

    Attributes:
        part: None before it is opened or created.
    """

    def __init__(self, staging: Staging) -> None:
        self.part: GuardedFile | None = None
        self.gate = Gate()
        self.journal = Journal(staging.journal, self.gate)
        self._staging = staging

    def resume(self, part: fs.File, log: Log) -> None:
        """Take over the files of an earlier run. Raises: StorageError."""
        self.part = GuardedFile(part, self.gate)
        self.journal.resume(log)

    def create(self, header: Header) -> None:
        """Make an empty part, and a journal with this header. Raises: Revoked; StorageError."""
        self.make_part()
        self.begin_journal(header)

    def make_part(self) -> GuardedFile:
        """Make an empty part. Raises: Revoked; StorageError."""
        with self.gate.naming():
            self.part = GuardedFile(fs.create(self._staging.part), self.gate)
        return self.part

    def begin_journal(self, header: Header) -> None:
        """Start the journal over with this header. Raises: Revoked; StorageError."""
        self.journal.begin(header)

    def replace_journal(self, header: Header) -> None:
        """The same, in a new `Journal`: a thread of the old write-behind may still use the old one."""
        self.journal = Journal(self._staging.journal, self.gate)
        self.begin_journal(header)

    def clear(self) -> None:
        """Delete both files. Raises: StorageError."""
        with self.gate.names:
            self._unlink()

    def release_blocks(self, old: fs.File) -> None:
        """Free the blocks of an earlier part that has lost its name. Raises: Revoked; StorageError."""
        with self.gate.change():
            fs.release_blocks(old)

    def close_until_used(self, *, same: bool) -> None:
        """Close both files until they are used again; `same` as in `GuardedFile.close_until_used`."""
        self.journal.close_until_used()
        if self.part:
            self.part.close_until_used(same=same)

    def close(self, until: float = 0.0) -> bool:
        """End all changes, as `Gate.close` does, and close the files."""
        is_quiet = self.gate.close(until)
        self.journal.close_until_used()
        if self.part:
            self.part.close()
        return is_quiet

    def remove(self) -> bool:
        """Delete both files for good; False when there was no part. Raises: StorageError.

        Does not wait for changes under way: without a name, no other process can get the file that they change.
        """
        self.close()
        with self.gate.names:
            return self._unlink()

    def _unlink(self) -> bool:
        found = fs.is_own(self._staging.part) and fs.unlink(self._staging.part)
        fs.unlink(self._staging.journal)
        return found
