"""Main memory: that of the system, or less where a control group (a container) has a limit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from luci_dl.frozen import frozen

ROOT = Path("/")


@frozen
class Memory:
    """Bytes of memory. `free`: what can be used now; None if that is unknown."""

    total: int
    free: int | None = None


def main_memory(root: Path = ROOT) -> Memory | None:
    """The memory that programs may use here; None if the system does not say. `root`: where proc/ and sys/ are."""
    total, available = _of_system(), _number(_text(root / "proc/meminfo"), r"^MemAvailable: +(\d+) kB")
    found = [] if total is None else [Memory(total, None if available is None else available * 1024)]
    found += _limits(root)
    if not found:
        return None
    free = [memory.free for memory in found if memory.free is not None]
    return Memory(min(memory.total for memory in found), min(free, default=None))


def _of_system() -> int | None:
    try:
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return pages * page if pages > 0 and page > 0 else None


def _limits(root: Path) -> Iterator[Memory]:
    """The limits of the control groups of this process, in both versions of their file system."""
    groups = re.findall(r"^\d+:(|[^:\n]*\bmemory\b[^:\n]*):(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    for controllers, group in groups:
        base = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        folder = base / group.strip("/")
        for each in (folder, *folder.parents):
            limit, used = (_number(_text(each / name), r"^(\d+)$") for name in names)
            if limit is not None:
                cached = _number(_text(each / "memory.stat"), r"^(?:total_)?inactive_file (\d+)$") or 0
                yield Memory(limit, None if used is None else max(0, limit - max(0, used - cached)))
            if each == base:
                break


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def _number(text: str, pattern: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else None
