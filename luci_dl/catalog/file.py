"""A catalog file that luci may write: atomically, and one process at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from luci_dl.catalog.catalog import text_of
from luci_dl.catalog.entries import examine
from luci_dl.disk import fs, lock
from luci_dl.disk.storage_errors import advice
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.text import printable, public_text

_CHECK_PLACE = "Check that file, its folder and its disk. LUCI_HOME names luci's own folder, LUCI_CATALOG your catalog."


@frozen
class CatalogFile:
    """A catalog file to edit.

    Attributes:
        file: need not exist yet.
        lock: to be held while writing.
    """

    file: Path
    lock: Path

    @property
    def shown(self) -> str:
        """The path for messages."""
        return printable(str(self.file))

    def text(self) -> str:
        """The content; empty if there is no file. Raises: UsageError."""
        return text_of(self.file).replace("\r\n", "\n") if os.path.lexists(self.file) else ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing while the block runs."""
        with advice(_CHECK_PLACE), lock.file_lock(self.lock):
            yield

    def write(self, text: str) -> None:
        """Replace the content atomically; of a symlink, that of the file it points to.

        With secrets in its addresses, only the owner can read it.

        Raises: UsageError, when the text is not a sound catalog; StorageError.
        """
        if problems := examine(text, self.shown)[1]:
            raise UsageError(problems[0], "Nothing was written. Change one of the entries.")
        file = Path(os.path.realpath(self.file))
        fs.make_folder(file.parent)
        fs.write_file(file, text.encode(), keep_mode=True, private=public_text(text) != text)
