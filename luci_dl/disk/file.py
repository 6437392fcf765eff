"""An open file: reading, writing, claiming blocks, syncing. `fs` opens files and offers these functions, too.

Every `OSError` but those of `allocate` leaves here as a `StorageError`. Linux and macOS; the macOS lines are untested.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from luci_dl.disk.filesystems import file_system
from luci_dl.disk.storage_errors import storage_errors
from luci_dl.plan import PAGE

_MACOS = sys.platform == "darwin"
_F_PREALLOCATE, _F_ALLOCATEALL, _F_PEOFPOSMODE, _F_FULLFSYNC = 42, 4, 3, 51  # <sys/fcntl.h> of macOS
_FICLONE = 0x40049409  # <linux/fs.h>
_FALLOC_FL_KEEP_SIZE = 1  # <linux/falloc.h>
_LARGE = 256 << 10  # bytes; smaller writes are better collected in the page cache
_AT_ONCE = 256 << 10  # bytes into the page cache; for 1 MiB and more, Linux looks long for memory in one piece


class File:
    """An open file. It is closed when the last reference to it goes, so a thread that still writes keeps its own.

    Attributes:
        fd: the descriptor; path: the name that the file was opened by.
    """

    __slots__ = ("_direct", "fd", "path")

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path
        self._direct: int | None = None  # a descriptor with O_DIRECT; None before the first try, -1 without success

    def __del__(self) -> None:
        _close(self.fd)
        self.stop_direct()

    def direct(self) -> int | None:
        """A descriptor that writes past the page cache; None where that does not work or does not pay."""
        if self._direct is None:
            self._direct = _open_direct(self)
        return self._direct if self._direct >= 0 else None

    def stop_direct(self) -> None:
        """Write through the page cache from now on."""
        if self._direct is not None and self._direct >= 0:
            _close(self._direct)
        self._direct = -1

    @property
    def info(self) -> os.stat_result:
        """Its inode, size, mtime and blocks now. This and `size` raise: StorageError."""
        with storage_errors("look at", self.path):
            return os.fstat(self.fd)

    @property
    def size(self) -> int:
        return self.info.st_size


def _close(fd: int) -> None:
    """Some file systems report here that a write failed; what counts was synced before."""
    with contextlib.suppress(OSError):
        os.close(fd)


def read_at(file: File, size: int, offset: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer only at the end of the file."""
    with storage_errors("read", file.path):
        return os.pread(file.fd, size, offset)


def read_into(file: File, memory: memoryview, offset: int) -> int:
    """Fill `memory` from `offset` on. Returns: how many bytes; fewer than it has only at the end of the file."""
    with storage_errors("read", file.path):
        done = 0
        while done < len(memory) and (count := os.preadv(file.fd, [memory[done:]], offset + done)):
            done += count
        return done


def write_at(file: File, data: bytes | memoryview, offset: int, *, past_cache: bool = False) -> None:
    """Write all of `data` at `offset`.

    Args:
        past_cache: the data is not read again soon. Large blocks of whole pages then go to the disk without a copy in
            the page cache, where the file system is known to do that well: it costs much less CPU time.
    """
    with storage_errors("write", file.path):
        direct = past_cache and len(data) >= _LARGE and not (offset | len(data)) % PAGE
        done = _write_direct(file, data, offset) if direct else 0
        while done < len(data):
            done += os.pwrite(file.fd, memoryview(data)[done : done + _AT_ONCE], offset + done)


def _write_direct(file: File, data: bytes | memoryview, offset: int) -> int:
    """Returns: how many bytes were written; the rest has to be written through the page cache."""
    fd = file.direct()
    if fd is None:
        return 0
    try:
        return os.pwrite(fd, data, offset)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        file.stop_direct()  # the file system or the device needs another alignment
        return 0


def _open_direct(file: File) -> int:
    """A second descriptor of the file, with O_DIRECT; -1 where that is not known to pay."""
    on = file_system(file.path)
    if on is None or not on.writes_past_cache:
        return -1
    try:
        return os.open(f"/proc/self/fd/{file.fd}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return -1


def allocate(file: File, size: int, *, grow: bool = True) -> None:
    """Preallocate the blocks of the first `size` bytes, and make the file at least that long if it is to `grow`.

    Raises: OSError, as the system reports it: ENOSPC, EFBIG, EOPNOTSUPP where the file system cannot preallocate.
    May take long: keep it off the thread that answers signals.
    """
    if _MACOS:
        import fcntl
        import struct

        left = size - os.fstat(file.fd).st_size
        fcntl.fcntl(file.fd, _F_PREALLOCATE, struct.pack("=Iiqqq", _F_ALLOCATEALL, _F_PEOFPOSMODE, 0, left, 0))
        os.ftruncate(file.fd, size)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if fallocate is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while fallocate(file.fd, 0 if grow else _FALLOC_FL_KEEP_SIZE, 0, size) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def clone(source: File, file: File) -> bool:
    """Make `file` share all blocks of `source` until one of the two changes; False where that does not work.

    May take long: keep it off the thread that answers signals.
    """
    if _MACOS:
        return False
    import fcntl

    try:
        fcntl.ioctl(file.fd, _FICLONE, source.fd)
    except OSError:  # two file systems, or one that cannot share; copying will report what is wrong with the disk
        return False
    return True


def set_length(file: File, size: int) -> None:
    """Make the file `size` bytes long; the blocks beyond become free."""
    with storage_errors("set the length of", file.path):
        os.ftruncate(file.fd, size)


def release_blocks(file: File) -> None:
    """Free the blocks of an open file that no longer has a name."""
    with storage_errors("free", file.path):
        if os.fstat(file.fd).st_nlink == 0:  # else a hard link to it exists
            os.ftruncate(file.fd, 0)


def sync_data(file: File) -> None:
    """Make what was written survive a crash. Never retried: the kernel reports a failure only once."""
    with storage_errors("sync", file.path):
        if _MACOS:
            import fcntl

            fcntl.fcntl(file.fd, _F_FULLFSYNC)
        else:
            os.fdatasync(file.fd)
