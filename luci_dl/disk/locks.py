"""The locks of one transaction: taken in one order, waited for with events, and kept up to date with the progress."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.folder_lock import FolderLock
from luci_dl.disk.layout import Staging, in_lock_order
from luci_dl.disk.lock import Lock, is_held, read_lock_info
from luci_dl.disk.lock_info import LockInfo, progress_of
from luci_dl.disk.lock_reliability import Owner
from luci_dl.disk.receipt import now
from luci_dl.disk.stored_lock import DescriptorStore, StoredLock
from luci_dl.errors import IntegrityError, LockedError, StorageError
from luci_dl.events import Emit, Waiting
from luci_dl.model import Artifact
from luci_dl.text import distinct_address, public_address, time_of_day

POLL_S = 1.5
"""How often a waiting process looks at the lock, in seconds: a hundred of them cost 3 % of a core, 5 % in terminals."""
GLANCE_S = 0.05
"""How long `clean` or `verify` may hold a lock, in seconds: it counts as held by others when that time is over."""
REPORT_S = 1.0
"""How often a holder looks after its files and, if there is news, rewrites the text of its locks, in seconds."""
MANY = 32
"""A model of more files has its locks in a `DescriptorStore`."""

Verb = Literal["install", "upgrade", "remove", "move", "export", "import"]
_HINT = "Interrupt that, or wait until it is done."
_HINT_TO_WAIT = "Leave out --no-wait (or give --wait more seconds) to wait for it."
_PASSIVE = {"remove": "removed", "move": "moved", "export": "exported", "import": "imported"}


class Locks:
    """The locks of all files of one model. `acquire`, `report` the progress, `release` with the outcome.

    Args:
        verb: what luci does with the model: for those who wait.
        look: called once a second while the locks are held, in a thread of its own.
    """

    def __init__(
        self,
        files: Sequence[tuple[Staging, Artifact]],
        reference: str,
        verb: Verb = "install",
        look: Callable[[], None] = lambda: None,
    ) -> None:
        artifacts = dict(files)
        self._artifacts = {staging: artifacts[staging] for staging in in_lock_order(artifacts)}
        self._stagings = {staging.name: staging for staging in self._artifacts}
        self._store = DescriptorStore() if len(artifacts) > MANY else None
        folders = {staging.lock.parent for staging in artifacts} if verb in ("remove", "move") else ()
        self._stand_ins = {path: FolderLock(path) for path in folders}
        self._locks = {staging: self._lock(staging.lock) for staging in self._artifacts}
        self._infos: dict[Staging, LockInfo] = {}
        self._reference = reference
        self._verb = verb
        self._look = look
        self._nonce = secrets.token_hex(8)
        self._released = threading.Event()
        self._written: dict[Staging, LockInfo] = {}
        self._writing = threading.Lock()  # or an older text of the other thread could replace the outcome

    def _lock(self, path: Path) -> Lock:
        stand_in = self._stand_ins.get(path.parent)
        return StoredLock(path, self._store, stand_in) if self._store else Lock(path, stand_in)

    def acquire(self, wait: float | None, token: CancelToken, emit: Emit) -> None:
        """Take every lock, in order, emitting `Waiting` events while another process holds it.

        Args:
            wait: seconds to wait at most; None: as long as it takes.

        Raises: LockedError, when that time is over; IntegrityError, when the process that was waited for found the
            same bytes to be wrong; Interrupted; StorageError. No lock is held then.
        """
        end = None if wait is None else time.monotonic() + wait
        try:
            for staging, lock in self._locks.items():
                self._acquire_one(lock, self._artifacts[staging], end, token, emit)
            self._infos = _own_infos(self._nonce, self._artifacts, self._reference, self._verb)
            self._write()
            with contextlib.suppress(StorageError):  # without the thread, those who wait see no progress
                start_thread(self._write_regularly, "luci-lock")
        except BaseException:
            self._release_all()
            raise

    def _acquire_one(self, lock: Lock, artifact: Artifact, end: float | None, token: CancelToken, emit: Emit) -> None:
        waited = False
        while (waited and is_held(lock.path)) or not _take(lock, token):  # looking costs a tenth of trying
            holder = _holder_of(lock)
            left = POLL_S if end is None else end - time.monotonic()
            if left <= 0:
                verb = holder.command.split(" ")[1:2] if holder else []
                doing = _PASSIVE.get("".join(verb), "installed")
                message = f"{artifact.name} is being {doing} by {_described(holder)}"
                raise LockedError(message, _HINT if self._verb in _PASSIVE else _HINT_TO_WAIT)
            emit(self._waiting(artifact.name, holder))
            waited = True
            token.wait(min(POLL_S, left))
            token.check()
        before = read_lock_info(lock.path) if waited else None
        if before and before.outcome == "wrong bytes" and before.key == key_of(artifact):
            raise IntegrityError(before.message, before.hint)

    def _waiting(self, name: str, holder: LockInfo | None) -> Waiting:
        if holder is None:
            return Waiting(name, None, None, None, None, None, None, None)
        texts = map(read_lock_info, (lock.path for lock in self._locks.values()))
        progress = progress_of([info for info in texts if info and info.nonce == holder.nonce])
        return Waiting(name, holder.pid, holder.host, holder.since, holder.command, *progress)

    def report(self, name: str, done: int, total: int | None, rate: float) -> None:
        """Have this progress written into the lock file of the target `name`, soon."""
        staging = self._stagings[name]
        self._infos[staging] = replace(self._infos[staging], done=done, total=total, rate=rate)

    def keep_others_out(self) -> bool:
        """Whether the locks that are held here are refused to others, as they should be."""
        one_of_each_folder = {lock.path.parent: lock for lock in self._locks.values()}
        return all(lock.keeps_others_out() for lock in one_of_each_folder.values())

    def lost(self) -> Path | None:
        """The first lock file that is not the one that was locked, with our text in it. Raises: StorageError."""
        return next((lock.path for lock in self._locks.values() if not lock.is_ours(self._nonce)), None)

    def release(self, outcome: str, message: str = "", hint: str = "") -> None:
        """Write how the transaction ended, and release the locks. Never fails."""
        self._released.set()
        for staging, info in self._infos.items():
            self._infos[staging] = replace(info, outcome=outcome, message=message, hint=hint)
        self._write()
        self._release_all()

    def _release_all(self) -> None:
        for lock in self._locks.values():
            lock.release()
        if self._store:
            self._store.close()

    def _write_regularly(self) -> None:
        while not self._released.wait(REPORT_S):
            self._look()
            self._write()

    def _write(self) -> None:
        with self._writing:
            for staging, lock in self._locks.items():
                info = self._infos[staging]
                if self._written.get(staging) != info:
                    lock.write(info)
                    self._written[staging] = info


def key_of(artifact: Artifact) -> str:
    """What identifies the expected bytes: a digest, or the address where no digest is known."""
    return artifact.best_hex or distinct_address(artifact.urls[0])


def _take(lock: Lock, token: CancelToken) -> bool:
    """Take the lock unless it is held for longer than a moment. Raises: StorageError; Interrupted."""
    if lock.try_acquire():
        return True
    token.wait(GLANCE_S)
    token.check()
    return lock.try_acquire()


def _holder_of(lock: Lock) -> LockInfo | None:
    """Who holds the lock; None where its file only has the text of an earlier holder, or none."""
    info = read_lock_info(lock.path)
    return None if info is None or info.outcome or Owner(info.host, info.pid).has_ended() else info


def _own_infos(
    nonce: str, artifacts: Mapping[Staging, Artifact], reference: str, verb: Verb
) -> dict[Staging, LockInfo]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    model = public_address(reference).rpartition("/")[2]  # not sys.argv: there may be a password in it
    holder = LockInfo(
        nonce=nonce,
        name="",
        pid=os.getpid(),
        host=socket.gethostname(),
        user=user,
        since=now(),
        command=f"luci {verb} {model}",
        model=model,
        key="",
    )
    return {
        staging: replace(holder, name=artifact.name, key=key_of(artifact), total=artifact.size)
        for staging, artifact in artifacts.items()
    }


def _described(holder: LockInfo | None) -> str:
    if holder is None:
        return "another process"
    return f"pid {holder.pid} on {holder.host} ({holder.command}) since {time_of_day(holder.since)}"
