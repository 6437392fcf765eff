"""Starting a thread, which the system may refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable

from luci_dl.errors import StorageError


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Run `work` in a thread that ends with the process at the latest. Raises: StorageError, when that is refused."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        hint = "Use fewer connections and jobs, or raise the limit of processes (ulimit -u)."
        raise StorageError("the system allows no more threads", hint) from error
    return thread
