"""Files of which upstream has sent wrong bytes: clients may have kept some, and must not continue them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import StorageError

SUSPECT_S = 30 * 86_400
"""How long that is remembered, in seconds."""


class Suspects:
    """Their digests, also after a restart. Any thread may call; `path`: where they are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._since = _read(path)

    def mark(self, sha256: str) -> str:
        """What tells what is served of the file now from what was served before; empty if it is no suspect."""
        since = self._since.get(sha256)
        return f"{since:x}" if since is not None and time.time() - since < SUSPECT_S else ""

    def add(self, sha256: str) -> None:
        """Remember it; if it cannot be written, until the process ends."""
        with self._lock:
            now = int(time.time())
            known = {each: since for each, since in self._since.items() if now - since < SUSPECT_S}
            self._since = {**known, sha256: now}
            try:
                fs.make_folder(self._path.parent)
                fs.write_file(self._path, json.dumps(self._since).encode())
            except StorageError:
                return


def _read(path: Path) -> dict[str, int]:
    """What is there; nothing if that is damaged."""
    try:
        found = json.loads(fs.read_own(path) or b"{}")
    except (ValueError, RecursionError, StorageError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(sha256): since for sha256, since in found.items() if isinstance(since, int)}
