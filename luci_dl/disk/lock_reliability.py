"""Where a lock may be granted to everyone: why, and the files that a process has for itself there.

Their names tell whose they are: the machine, the process, and a number of its own.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from luci_dl.disk.filesystems import file_system

FORGOTTEN_S = 24 * 3600
"""After so many seconds without a write a file is nobody's, though its process cannot be asked after."""
_OWN = re.compile(r"(.+)~([0-9a-f]{8})-([0-9]{1,10})-[0-9a-f]{8}")
_KERNEL = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/sys/kernel/hostname"))


def why_unreliable(folder: Path, keeps_others_out: bool = True) -> str:
    """Why the locks in the models folder cannot be trusted; empty when they can.

    Args:
        keeps_others_out: what came of trying it.
    """
    on = file_system(folder)
    if on and on.has_unreliable_locks:
        return f"{folder} is on {on.description} ({on.kind}), which may grant a lock to everyone"
    return "" if keeps_others_out else f"the file system of {folder} grants a lock to everyone"


@dataclass(frozen=True)
class Owner:
    """A process. `machine`: what tells the system it runs on, as far as processes see one another, from others."""

    machine: str
    pid: int

    def may_be_running(self, last_write: float) -> bool:
        """Whether it may still be at work on a file that was last written then, in seconds since 1970.

        Where it cannot be asked after, the clock decides; it never costs more than a download, for before the last
        rename everyone looks whether the file is still their own.
        """
        if time.time() - last_write > FORGOTTEN_S:
            return False
        return self.machine not in (machine(), socket.gethostname()) or _runs(self.pid)


def private_mark() -> str:
    """What the names of this process's own files have behind that of the target, a new one each time."""
    return f"~{machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def owner_of(stem: str) -> Owner | None:
    """Whose file it is, by its name without suffixes; None for one that a lock keeps."""
    match = _OWN.fullmatch(stem)
    return Owner(match[2], int(match[3])) if match else None


def without_mark(stem: str) -> str:
    """What the name is without the mark of a process."""
    match = _OWN.fullmatch(stem)
    return match[1] if match else stem


def last_write(*paths: Path) -> float:
    """When one of them was last written to, in seconds since 1970; 0 when none is there."""
    moments = [0.0]
    for path in paths:
        try:
            moments.append(os.lstat(path).st_mtime)
        except OSError:
            continue
    return max(moments)


@functools.cache
def machine() -> str:
    """The same for all processes that see one another's numbers, and for no others: 8 hex digits."""
    seen = [socket.gethostname()]
    for path in _KERNEL:
        try:
            seen.append(path.read_text())
        except OSError:  # not Linux
            seen.append("")
    try:
        seen.append(os.readlink("/proc/self/ns/pid"))  # containers of one host
    except OSError:
        seen.append("")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:8]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
