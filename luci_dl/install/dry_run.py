"""What an install would do, and whether it would work, as far as that can be told without changing anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import commit, fs, identity, journal, space, target
from luci_dl.disk.layout import Staging, staging_for
from luci_dl.disk.lock import is_held, read_lock_info
from luci_dl.disk.target import Found
from luci_dl.errors import Interrupted, LuciError, StorageError
from luci_dl.events import Emit, Failed, Hashing, Room, WouldInstall
from luci_dl.install.free_space import relief
from luci_dl.install.inspect import Judge, ask_server, to_fetch
from luci_dl.install.local_copies import Copies, Copy
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from luci_dl.text import human_size

_ACTIONS = {"installed": "already", "adoptable": "adopt", "newer": "newer"}


@dataclass
class _Need:
    """What one file system has to take."""

    folder: Path
    models: Path
    bytes: int = 0
    at_least: bool = False


@dataclass(frozen=True)
class DryRun:
    """Looks at every file of every plan, asks nobody for bytes, and tells."""

    options: Options
    network: Network
    copies: Copies
    token: CancelToken
    emit: Emit
    _needs: dict[int, _Need] = field(default_factory=dict)

    def run(self, plans: Sequence[Plan]) -> int:
        """Returns: the exit code with which the install would end, as far as can be told. Raises: Interrupted."""
        codes = [self._try(plan) for plan in plans]
        codes += [self._judge_room(need) for need in self._needs.values()]
        return next(filter(None, codes), 0)

    def _try(self, plan: Plan) -> int:
        try:
            self._model(plan)
        except Interrupted:
            raise
        except LuciError as error:
            return self._failed(plan.reference, error)
        return 0

    def _failed(self, reference: str, error: LuciError) -> int:
        self.emit(Failed(reference, error.message, error.hint, error.exit_code))
        return error.exit_code

    def _model(self, plan: Plan) -> None:
        stagings = {artifact: staging_for(plan.folder, artifact.name) for artifact in plan.artifacts}
        held = {artifact: _holder(staging) for artifact, staging in stagings.items()}
        if any(held.values()) or any(_is_cut_off(staging) for staging in stagings.values()):
            for artifact, staging in stagings.items():
                action = "wait" if any(held.values()) else "complete"
                self._tell(plan, artifact, staging, action, waits_for=held[artifact])
            return

        def look(artifact: Artifact) -> Found:
            return self._look(staging_for(plan.folder, artifact.name), artifact)

        judge = Judge(plan.folder, look, self.options.force, self.network, self.token)
        found = {artifact: judge.judge(artifact).found for artifact in plan.artifacts}
        missing, _ = to_fetch(found, self.options.force)
        for artifact, staging in stagings.items():
            if artifact in missing:
                self._fetch(plan, artifact, staging)
            else:
                self._tell(plan, artifact, staging, _ACTIONS[found[artifact].state])

    def _look(self, staging: Staging, artifact: Artifact) -> Found:
        def hashed(done: int) -> None:
            self.emit(Hashing(artifact.name, done, max(done, artifact.size or done)))

        return target.look(staging, artifact, self.token, hashed, only_look=True)

    def _fetch(self, plan: Plan, artifact: Artifact, staging: Staging) -> None:
        """Raises: NetworkError, when no copy is here and no server may be asked; StorageError."""
        fs.check_writable(staging.target.parent)
        fs.check_writable(staging.base.parent)
        done = self._kept(staging, artifact)
        copies = (
            run_cancellable(lambda: self.copies.find(artifact, staging.target), self.token) if artifact.provable else []
        )
        known = replace(artifact, size=copies[0].size) if copies else artifact
        if not copies and (self.network.offline or artifact.size is None or not artifact.provable):
            known = ask_server(artifact, self.network, self.token, f"{artifact.name} could not be asked about:")
        self._note_need(staging, known)
        action = "copy" if copies else "resume" if done else "download"
        digest_origin = "server" if known.sha256 and not artifact.provable else ""
        self._tell(
            plan, known, staging, action, done=done, copy=copies[0] if copies else None, digest_origin=digest_origin
        )

    def _kept(self, staging: Staging, artifact: Artifact) -> int:
        """Bytes of a kept part that its journal speaks for."""
        log = journal.read(staging.journal)
        if not (self.options.resume and log and fs.is_own(staging.part) and identity.fits(log.header, artifact)):
            return 0
        return max((offset for offset, _ in log.checkpoints), default=0)

    def _note_need(self, staging: Staging, artifact: Artifact) -> None:
        there = next(path for path in staging.target.parents if os.path.isdir(path))
        need = self._needs.setdefault(os.stat(there).st_dev, _Need(there, staging.folder))
        need.bytes += max(0, (artifact.size or 0) - (fs.blocks_of(staging.part) or 0))
        need.at_least = need.at_least or artifact.size is None

    def _judge_room(self, need: _Need) -> int:
        free = space.free_bytes(need.folder)
        enough = free >= need.bytes + self.options.min_free
        self.emit(Room(str(need.folder), need.bytes, need.at_least, free, self.options.min_free, enough))
        if enough:
            return 0
        needed = f"{'at least ' if need.at_least else ''}{human_size(need.bytes)}"
        reserve = f", and {human_size(self.options.min_free)} must stay free" if self.options.min_free else ""
        message = f"no room in {need.folder}: {needed} needed, {human_size(free)} free{reserve}"
        return self._failed("", StorageError(message, relief(need.models)))

    def _tell(
        self,
        plan: Plan,
        artifact: Artifact,
        staging: Staging,
        action: str,
        *,
        done: int = 0,
        copy: Copy | None = None,
        digest_origin: str = "",
        waits_for: str = "",
    ) -> None:
        digest = artifact.sha256 or artifact.lfs_pointer_sha1 or artifact.blob_sha1 or ""
        self.emit(
            WouldInstall(
                plan.reference,
                artifact.name,
                str(staging.target),
                action,
                artifact.urls,
                artifact.size,
                artifact.proof,
                digest,
                (digest_origin or _teller(plan.reference)) if digest else "",
                done,
                str(copy.path) if copy else "",
                copy.where if copy else "",
                waits_for,
            )
        )


def _teller(reference: str) -> str:
    """Who told the digest, by the kind of the reference."""
    if reference.startswith("hf:"):
        return "hub"
    if reference.startswith("ollama:"):
        return "registry"
    return "user" if "://" in reference else "catalog"


def _holder(staging: Staging) -> str:
    """Who holds the target's lock; empty when nobody does."""
    if not is_held(staging.lock):
        return ""
    holder = read_lock_info(staging.lock)
    return f"pid {holder.pid} on {holder.host} ({holder.command})" if holder else "another process"


def _is_cut_off(staging: Staging) -> bool:
    """Whether a crash cut off an install of it after the last check: the next one completes that first."""
    if commit.record_of(staging):
        return True
    log = journal.read(staging.journal)
    return bool(log and log.entry and not log.entry.record and not fs.is_own(staging.part))
