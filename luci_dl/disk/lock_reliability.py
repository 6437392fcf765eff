"""Where a file system may grant a lock to everyone: why, and the private staging files that a process uses there.

The names of private files say whose they are: they have a mark of the machine, the process, and a random number.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
from pathlib import Path

from luci_dl.disk.filesystems import file_system
from luci_dl.frozen import frozen

FORGOTTEN_S = 24 * 3600
"""After this many seconds without a write a file counts as abandoned, though its process cannot be checked."""
_MARKED = re.compile(r"(.+)~([0-9a-f]{8})-([0-9]{1,10})-[0-9a-f]{8}")
_KERNEL = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/sys/kernel/hostname"))


def why_unreliable(folder: Path, keeps_others_out: bool = True) -> str:
    """Why the locks in the models folder cannot be trusted; empty when they can.

    Args:
        keeps_others_out: whether a lock that was taken there is refused to others.
    """
    on = file_system(folder)
    if on and on.has_unreliable_locks:
        return f"{folder} is on {on.description} ({on.kind}), which may grant a lock to everyone"
    return "" if keeps_others_out else f"the file system of {folder} grants a lock to everyone"


@frozen
class Owner:
    """A process. `machine`: what `machine()` returns there, or the host name."""

    machine: str
    pid: int

    def has_ended(self) -> bool:
        """Whether it has certainly ended: that of another machine may be running."""
        return self.machine in (machine(), os.uname().nodename) and not _is_running(self.pid)

    def may_be_running(self, last_write: float) -> bool:
        """Whether it may still be using a file that was last written then, in seconds since 1970.

        Where the process cannot be checked, the age of the file decides. A wrong guess costs a download, no more:
        before the rename every process checks that the file is still its own.
        """
        return time.time() - last_write <= FORGOTTEN_S and not self.has_ended()


def private_mark() -> str:
    """What this process appends to the names of private files; a new one each time."""
    return f"~{machine()}-{os.getpid()}-{os.urandom(4).hex()}"


def owner_of(stem: str) -> Owner | None:
    """The process whose private file has that name without suffixes; None for a file that a lock protects."""
    match = _MARKED.fullmatch(stem)
    return Owner(match[2], int(match[3])) if match else None


def without_mark(stem: str) -> str:
    """The name without the mark of a process, if it has one."""
    match = _MARKED.fullmatch(stem)
    return match[1] if match else stem


def last_write(*paths: Path) -> float:
    """When one of the files was last written, in seconds since 1970; 0 when there is none of them."""
    moments = [0.0]
    for path in paths:
        try:
            moments.append(os.lstat(path).st_mtime)
        except OSError:
            continue
    return max(moments)


@functools.cache
def machine() -> str:
    """The same 8 hex digits for all processes that can check each other's pids, and for no others."""
    facts = [os.uname().nodename]
    for path in _KERNEL:
        try:
            facts.append(path.read_text())
        except OSError:  # not Linux
            facts.append("")
    try:
        facts.append(os.readlink("/proc/self/ns/pid"))  # differs between the containers of one host
    except OSError:
        facts.append("")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True
