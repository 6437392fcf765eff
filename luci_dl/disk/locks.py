"""The locks of one transaction: taken in one order, waited for in the open, and told about while held."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from luci_dl.cancel import CancelToken
from luci_dl.disk.layout import Staging, in_lock_order
from luci_dl.disk.lock import Lock, is_held
from luci_dl.disk.lock_info import LockInfo
from luci_dl.disk.receipt import now
from luci_dl.disk.stored_lock import DescriptorStore, StoredLock
from luci_dl.errors import IntegrityError, LockedError
from luci_dl.events import Emit, Waiting
from luci_dl.model import Artifact
from luci_dl.text import time_of_day

POLL_S = 1.5
"""How often a waiting process looks at the lock, in seconds: a hundred of them cost 3 % of a core, 5 % in terminals."""
GLANCE_S = 0.05
"""How long a lock may be held by who only looks, in seconds: who does not want to wait tries once more after that."""
TELL_S = 1.0
"""How often, at most, a holder rewrites the text of its locks, in seconds."""
MANY = 32
"""A model of more files has its locks in a `DescriptorStore`."""

Verb = Literal["install", "remove"]
_HINTS: dict[Verb, str] = {
    "install": "Leave out --no-wait (or give --wait more seconds) to wait for it.",
    "remove": "Interrupt that, or wait until it is done.",
}


class Locks:
    """The locks of all files of one model. `acquire`, `tell` how far it is, `release` with how it ended.

    Args:
        verb: what luci is doing with the model, for those who wait.
    """

    def __init__(self, files: Sequence[tuple[Staging, Artifact]], reference: str, verb: Verb = "install") -> None:
        artifacts = dict(files)
        self._artifacts = {staging: artifacts[staging] for staging in in_lock_order(artifacts)}
        self._store = DescriptorStore() if len(artifacts) > MANY else None
        self._locks = {staging: self._lock(staging) for staging in self._artifacts}
        self._texts: dict[Staging, LockInfo] = {}
        self._reference = reference
        self._verb = verb
        self._nonce = secrets.token_hex(8)
        self._released = threading.Event()
        self._written: dict[Staging, LockInfo] = {}
        self._writing = threading.Lock()  # or the other thread's older text could come after the outcome

    def _lock(self, staging: Staging) -> Lock:
        return StoredLock(staging.lock, self._store) if self._store else Lock(staging.lock)

    def acquire(self, wait: float | None, token: CancelToken, emit: Emit) -> None:
        """Take every lock, in order, telling who is waited for.

        Args:
            wait: seconds to wait at most; None: as long as it takes.

        Raises: LockedError, when that time is over; IntegrityError, when the holder waited for found the same bytes
            to be wrong; Interrupted; StorageError. No lock is held then.
        """
        end = None if wait is None else time.monotonic() + wait
        try:
            for staging, lock in self._locks.items():
                self._acquire_one(lock, self._artifacts[staging], end, token, emit)
            for staging, artifact in self._artifacts.items():
                self._texts[staging] = _introduce(self._nonce, artifact, self._reference, self._verb)
            self._write()
            threading.Thread(target=self._tell_now_and_then, name="luci-lock", daemon=True).start()
        except BaseException:
            self._release_all()
            raise

    def _acquire_one(self, lock: Lock, artifact: Artifact, end: float | None, token: CancelToken, emit: Emit) -> None:
        waited = False
        while (waited and is_held(lock.path)) or not lock.try_acquire():  # to look costs a tenth of trying
            holder = lock.read()
            left = POLL_S if end is None else end - time.monotonic()
            if left <= 0:
                token.wait(GLANCE_S)
                token.check()
                if lock.try_acquire():
                    break
                raise LockedError(f"{artifact.name} is being {_done_to(holder)} by {_who(holder)}", _HINTS[self._verb])
            emit(_waiting(artifact.name, holder))
            waited = True
            token.wait(min(POLL_S, left))
            token.check()
        before = lock.read()
        if waited and before and before.outcome == "wrong bytes" and before.key == key_of(artifact):
            raise IntegrityError(before.message, before.hint)

    def tell(self, name: str, done: int, total: int | None, rate: float) -> None:
        """Have the text of that file's lock say so, soon."""
        for staging, text in self._texts.items():
            if staging.name == name:
                self._texts[staging] = replace(text, done=done, total=total, rate=rate)

    def keep_others_out(self) -> bool:
        """Whether nobody else gets what is held here, as a lock should have it."""
        return all(is_held(lock.path) for lock in self._locks.values())

    def are_ours(self) -> bool:
        """Whether every lock file is still the one that was locked, and says so."""
        return all(lock.is_ours(self._nonce) for lock in self._locks.values())

    def release(self, outcome: str, message: str = "", hint: str = "") -> None:
        """Say how it ended, and let go."""
        self._released.set()
        for staging, text in self._texts.items():
            self._texts[staging] = replace(text, outcome=outcome, message=message, hint=hint)
        self._write()
        self._release_all()

    def _release_all(self) -> None:
        """Release every lock, also behind one that cannot be. Raises: OSError, the first."""
        errors: list[OSError] = []
        for lock in self._locks.values():
            try:
                lock.release()
            except OSError as error:
                errors.append(error)
        if self._store:
            self._store.close()
        if errors:
            raise errors[0]

    def _tell_now_and_then(self) -> None:
        told = dict(self._texts)
        while not self._released.wait(TELL_S):
            if told != self._texts:
                told = dict(self._texts)
                self._write()

    def _write(self) -> None:
        with self._writing:
            for staging, lock in self._locks.items():
                text = self._texts[staging]
                if self._written.get(staging) != text:
                    lock.write(text)
                    self._written[staging] = text


def key_of(artifact: Artifact) -> str:
    """What identifies the bytes that are wanted: a digest, or the address where none is known."""
    return artifact.sha256 or artifact.lfs_pointer_sha1 or artifact.blob_sha1 or artifact.urls[0]


def _introduce(nonce: str, artifact: Artifact, reference: str, verb: Verb) -> LockInfo:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    model = reference.rpartition("/")[2]  # not sys.argv: there may be a password in it
    return LockInfo(
        nonce=nonce,
        name=artifact.name,
        pid=os.getpid(),
        host=socket.gethostname(),
        user=user,
        since=now(),
        command=f"luci {verb} {model}",
        model=model,
        key=key_of(artifact),
        total=artifact.size,
    )


def _done_to(holder: LockInfo | None) -> str:
    return "removed" if holder and holder.command.startswith("luci remove ") else "installed"


def _who(holder: LockInfo | None) -> str:
    if holder is None:
        return "another process"
    return f"pid {holder.pid} on {holder.host} ({holder.command}) since {time_of_day(holder.since)}"


def _waiting(name: str, holder: LockInfo | None) -> Waiting:
    if holder is None:
        return Waiting(name, None, None, None, None, None, None, None)
    told = (holder.pid, holder.host, holder.since, holder.command, holder.done, holder.total, holder.rate)
    return Waiting(name, *told)
