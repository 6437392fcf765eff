"""The files on their way into the models folder: one pull for each digest, whoever asks by whatever name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from luci_dl.errors import IntegrityError, LuciError, NoRoom
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact, Model
from luci_dl.plan import Plan
from luci_dl.serve.pull import Pull
from luci_dl.serve.suspects import Suspects
from luci_dl.text import human_size

FOLDER = "pulled"
"""Where pulled files are, below the models folder: each in a folder named for its digest, so that none replaces
another one."""
MAX_PULLS = 16
"""Files fetched at the same time; who asks for one more is told to come back."""
LINGER_S = 60.0
"""A pull goes on for so long without anybody who waits for it; its journal is kept."""
WRONG_S, FAILED_S = 60.0, 5.0
"""How long the failure of a pull, for wrong bytes or another reason, is the answer before upstream is asked again."""


class Busy(LuciError):
    """Too many files are being fetched."""


class NotAllowed(LuciError):
    """It may not be fetched for strangers."""


class Pulls:
    """Starts pulls, finds them, and ends those that nobody waits for. Any thread may call.

    Args:
        folder: the models folder.
        context: what they install with.
        suspects: gets each digest of which upstream sent wrong bytes.
        stored: returns the bytes that all pulled files take, but those with the given digests; what is unfinished is
            removed if they are more than the given number.
        quota: how many they may be; None without a limit.
        on_end: called in the thread of a pull that has ended.
    """

    def __init__(
        self,
        folder: Path,
        context: InstallContext,
        suspects: Suspects,
        stored: Callable[[Collection[str], int], int],
        quota: int | None,
        on_end: Callable[[Pull], None],
    ) -> None:
        self._folder = folder
        self._context = context
        self._suspects = suspects
        self._stored = stored
        self._quota = quota
        self._on_end = on_end
        self._pulls: dict[str, Pull] = {}
        self._closed = False
        self._lock = threading.Lock()  # the event loop waits for it, so it is never held for long
        self._starting = threading.Lock()  # of two new pulls each counts for the other

    def get(self, artifact: Artifact, reference: str) -> Pull:
        """The pull of an artifact whose size and SHA-256 are known: one that runs or has just failed, or a new one.

        Raises: Busy; NoRoom, for the quota.
        """
        sha256 = artifact.sha256 or ""
        with self._starting:
            return self.find(sha256) or self._start(artifact, sha256, reference)

    def _start(self, artifact: Artifact, sha256: str, reference: str) -> Pull:
        self._check_quota(artifact, sha256)
        with self._lock:
            if self._closed or len(self._running()) >= MAX_PULLS:
                raise Busy(f"{MAX_PULLS} files are being fetched, which is the limit", "Try again in a moment.")
            named = replace(artifact, name=f"{FOLDER}/{sha256[:16]}/{artifact.name}")
            pull = Pull(Plan(Model(reference, (named,)), self._folder), self._context, self._ended)
            self._pulls[sha256] = pull
            return pull

    def find(self, sha256: str) -> Pull | None:
        """The pull of that digest that runs, or has just failed."""
        with self._lock:
            return self._find(sha256)

    def _find(self, sha256: str) -> Pull | None:
        known = self._pulls.get(sha256)
        if known is None or known.ended_at is None:
            return known
        hold = WRONG_S if isinstance(known.error, IntegrityError) else FAILED_S
        return known if known.has_failed and time.monotonic() - known.ended_at < hold else None

    def _check_quota(self, artifact: Artifact, sha256: str) -> None:
        """Raises: NoRoom. Reads the disk."""
        if self._quota is None:
            return
        coming = {sha256: artifact.size or 0, **{pull.sha256: pull.size for pull in self.running()}}
        left = self._quota - sum(coming.values())
        if (stored := self._stored(coming, left)) > left:
            limit, size = human_size(self._quota), human_size(artifact.size or 0)
            raise NoRoom(
                f"{artifact.name} needs {size}, but pulled files take {human_size(stored)} of the {limit} they may",
                "Remove some with `luci remove`, or raise --quota.",
                has_figures=True,
            )

    def _ended(self, pull: Pull) -> None:
        self.note(pull)
        self._on_end(pull)

    def note(self, pull: Pull) -> None:
        """Suspect it if bytes that clients may have were dropped, or are wrong."""
        if pull.attempt != pull.noted or isinstance(pull.error, IntegrityError):
            pull.noted = pull.attempt
            self._suspects.add(pull.sha256)

    def _running(self) -> list[Pull]:
        return [pull for pull in self._pulls.values() if pull.ended_at is None]

    def running(self) -> list[Pull]:
        """Those that have not ended, the oldest first."""
        with self._lock:
            return self._running()

    def known(self) -> list[Pull]:
        """These, and those that have ended a short time ago."""
        with self._lock:
            return list(self._pulls.values())

    def tend(self) -> None:
        """End those that nobody waits for. To be called about once a second."""
        now = time.monotonic()
        with self._lock:
            for pull in self._running():
                self.note(pull)
                if pull.idle_since is not None and now - pull.idle_since > LINGER_S:
                    pull.stop()
            held = max(WRONG_S, FAILED_S)
            over = [sha256 for sha256, pull in self._pulls.items() if pull.ended_at and now - pull.ended_at > held]
            for sha256 in over:
                del self._pulls[sha256]

    def close(self) -> None:
        """Start no more, and end all; what is proved of them is kept. Returns when they have ended."""
        with self._lock:
            self._closed = True
            running = self._running()
        for pull in running:
            pull.stop()
        for pull in running:
            pull.wait()
