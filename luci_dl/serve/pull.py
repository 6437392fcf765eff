"""One file on its way into the models folder: fetched once, whoever asked for it by whatever name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.part import Part
from luci_dl.errors import LuciError, NetworkError
from luci_dl.install.batch import install_models
from luci_dl.install.context import InstallContext
from luci_dl.plan import Plan

HELD_BACK = 64 << 10
"""Bytes at the end that nobody gets before the digest of the whole is right: a client that checks nothing, or only the
size, must never have a whole wrong file."""
_READ = os.O_RDONLY | os.O_CLOEXEC
LINGER_S = 60.0
"""A fetch goes on for so long without anybody who waits for it; its journal is kept."""


class Pull:
    """The install of one file by luci's own transaction, in a thread. Any thread may call.

    Attributes:
        path: where the file is in the end.
        size: bytes.
        error: why it ended without the file; None while it runs, and when it is installed.
        readers: how many wait for bytes.
    """

    def __init__(self, plan: Plan, context: InstallContext, on_end: Callable[[Pull], None]) -> None:
        """Args: `plan`: of one file whose size and SHA-256 are known; `on_end`: called in the thread."""
        (artifact,) = plan.artifacts
        self.artifact = artifact
        self.path: Path = plan.folder / artifact.name
        self.size: int = artifact.size or 0
        self.error: LuciError | None = None
        self.readers = 0
        self._plan = plan
        self._token = CancelToken()
        self._context = replace(context, token=self._token, opened=self._opened)
        self._on_end = on_end
        self._part: Part | None = None
        self._ended = threading.Event()
        self._idle_since = time.monotonic()
        start_thread(self._run, "luci-pull")

    def _opened(self, part: Part) -> None:
        self._part = part

    def _run(self) -> None:
        try:
            (outcome,) = install_models([self._plan], self._context)
            self.error = outcome.error or (None if outcome.installed else NetworkError("the fetch was stopped"))
        except LuciError as error:
            self.error = error
        finally:
            self._ended.set()
            self._on_end(self)

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
        """The first byte from `offset` on that nobody may have yet."""
        if self.is_installed:
            return self.size
        end = self._part.readable(offset) if self._part else offset
        return min(end, max(offset, self.size - HELD_BACK))

    def want(self, offset: int) -> None:
        """Let the byte there come soon."""
        if self._part:
            self._part.want(offset)

    def stop(self) -> None:
        """End the fetch soon; what is proved of it is kept."""
        self._token.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for the end. Returns: whether it has ended."""
        return self._ended.wait(seconds)
