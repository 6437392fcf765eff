"""Deleting on a full disk: where there is no room for a lock file, its folder is locked in its place.

Whoever deletes must not need a new file, or a full disk could not be freed. A folder is always there, and stands in for
all lock files in it. What makes that safe is the order, which at least one of two processes notices:

    with a lock file (any purpose):  lock the file, then look whether the folder is held; if so, release it and wait;
                                     then look whether the file is still there: who held it before may have unlinked it
    in place of it (deleting only):  lock the folder, then look whether the file exists; if so, that has to be locked

So nobody gets a new lock file while the folder is held, and who held one before has made it visible. The holder of a
folder makes no file, so nobody can see who it is; others wait as for a lock without a text.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from pathlib import Path

_GLANCE_S = 0.005  # longer than a look at the folder takes
_GLANCES = 20  # number of brief retries


class FolderLock:
    """The lock on the folder of some lock files. Take it only where one of them cannot be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def try_acquire(self) -> bool:
        """Take it unless another process has it. Raises: OSError, where folders cannot be locked."""
        for _ in range(_GLANCES):
            if self.held or self._try_once():
                return True
            time.sleep(random.uniform(0, _GLANCE_S))  # it may be a mere look (`is_free`)
        return False

    def _try_once(self) -> bool:
        fd = _open(self.path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(self.path)):  # else it was removed and created again
                self._fd, fd = fd, -1
        except BlockingIOError:
            pass
        finally:
            if fd >= 0:
                os.close(fd)
        return self.held

    def is_free(self) -> bool:
        """Whether no other process has it. Raises: OSError, where that cannot be found out."""
        if self.held:
            return True
        try:
            fd = _open(self.path)
        except (FileNotFoundError, PermissionError):  # then nobody can have it
            return True
        return not is_taken(fd)

    def release(self) -> None:
        """Release it; harmless when it is not held."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def is_taken(fd: int) -> bool:
    """Whether a process has the lock on the file or folder, which is open for this look only. False if none can."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
    return False
