"""One file on its way into the models folder: fetched once, whoever asked for it by whatever name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.part import Part
from luci_dl.errors import Interrupted, LuciError
from luci_dl.install.batch import install_models
from luci_dl.install.context import InstallContext
from luci_dl.model import Access
from luci_dl.plan import Plan

HELD_BACK = 64 << 10
"""Bytes at the end that nobody gets before the digest of the whole is right: a client that checks nothing, or only the
size, must never have a whole wrong file."""
_READ = os.O_RDONLY | os.O_CLOEXEC


class Pull:
    """The install of one file by luci's own transaction, in a thread. Any thread may call.

    Attributes:
        path: where the file is in the end.
        size: bytes.
        error: why it ended without the file; None while it runs, and when it is installed.
        clients: the addresses of those who read, one for each request.
        idle_since: when the last one left (`time.monotonic`); None while there is one.
        ended_at: when it ended; None while it runs.
        number: another one for each pull, also after a restart.
        noted: the last `attempt` that was noted to be wrong.
    """

    def __init__(self, plan: Plan, context: InstallContext, on_end: Callable[[Pull], None]) -> None:
        """Args: `plan`: of one file whose size and SHA-256 are known; `on_end`: called in the thread."""
        (artifact,) = plan.artifacts
        self.artifact = artifact
        self.path: Path = plan.folder / artifact.name
        self.size: int = artifact.size or 0
        self.error: LuciError | None = None
        self.clients: list[str] = []
        self.idle_since: float | None = time.monotonic()
        self.ended_at: float | None = None
        self.number = time.time_ns()
        self.noted = 0
        self._plan = plan
        self._token = CancelToken()
        self._context = replace(context, token=self._token, opened=self._opened)
        self._on_end = on_end
        self._part: Part | None = None
        self._ended = threading.Event()
        start_thread(self._run, "luci-pull")

    def _opened(self, part: Part) -> None:
        self._part = part

    def _run(self) -> None:
        try:
            (outcome,) = install_models([self._plan], self._context)
            self.error = outcome.error or (None if outcome.installed else Interrupted())
        except LuciError as error:
            self.error = error
        finally:
            self._on_end(self)
            self.ended_at = time.monotonic()
            self._ended.set()

    @property
    def url(self) -> str:
        """Where it comes from."""
        return self.artifact.urls[0]

    @property
    def access(self) -> Access:
        """Who may have it."""
        return self.artifact.access

    @property
    def reference(self) -> str:
        return self._plan.reference

    @property
    def sha256(self) -> str:
        return self.artifact.sha256 or ""

    @property
    def has_failed(self) -> bool:
        """Not if it was stopped because nobody waited for it."""
        return self.error is not None and not isinstance(self.error, Interrupted)

    @property
    def fetched(self) -> int:
        """Bytes that came from upstream so far; those that had to be fetched again count again."""
        return self._part.fetched if self._part else 0

    @property
    def received(self) -> int:
        """Bytes of the file that are there."""
        return self.size if self.is_installed else self._part.received if self._part else 0

    @contextmanager
    def read_by(self, client: str) -> Iterator[None]:
        """Somebody waits for it in the block. In the event loop's thread only."""
        self.clients.append(client)
        self.idle_since = None
        try:
            yield
        finally:
            self.clients.remove(client)
            self.idle_since = None if self.clients else time.monotonic()

    @property
    def is_installed(self) -> bool:
        """The bytes are proved, and at the path."""
        return self._ended.is_set() and self.error is None

    @property
    def attempt(self) -> int:
        """Changes when bytes that could be read are dropped: who has some of them must begin again."""
        return self._part.restarts if self._part else 0

    def descriptor(self) -> int | None:
        """Open the file to read from; the caller closes it. None while there is none. Raises: OSError."""
        part = self._part
        if self.is_installed or part is None:
            return os.open(self.path, _READ) if self.is_installed else None
        try:
            return os.open(part.staging.part, _READ)
        except FileNotFoundError:  # not made yet, or renamed just now
            return None

    def readable(self, offset: int) -> int:
        """The first byte from `offset` on that nobody may have yet; nothing of what has failed may be had."""
        if self.is_installed:
            return self.size
        end = self._part.readable(offset) if self._part and not self.error else offset
        return min(end, max(offset, self.size - HELD_BACK))

    def want(self, offset: int) -> None:
        """Let the byte there come soon."""
        if self._part:
            self._part.want(offset)

    def stop(self) -> None:
        """End the fetch soon; what is proved of it is kept."""
        self._token.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end. Returns: whether it has ended."""
        return self._ended.wait(seconds)
