"""Reading installed files again: whether each is still what was installed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt, target
from luci_dl.disk.blocks import Blocks, count, segments_of
from luci_dl.disk.hashing import report_hashing
from luci_dl.disk.identity import check_contents
from luci_dl.disk.layout import OnError, Staging, is_staging_folder, staging_for
from luci_dl.disk.lock import Lock
from luci_dl.disk.receipt import DISTRUSTED, Receipt
from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import IntegrityError, OtherFile, StorageError, UsageError
from luci_dl.events import Emit, Event, Hashing, Verdict, Verified, Warned
from luci_dl.library.folder import skip
from luci_dl.library.installed import InstalledModel
from luci_dl.model import Artifact
from luci_dl.pool import run_side_by_side
from luci_dl.text import human_size

MODEL_FILES = (".gguf", ".safetensors")
"""The suffixes of files that are reported though luci did not install them: a models folder may hold anything."""
_ATTEMPTS = 3  # at a file that another process replaces while it is read

Named = Callable[[Receipt], Artifact | None]
"""Returns what the catalog knows of the file of a receipt."""


def verify(models: Sequence[InstalledModel], named: Named, token: CancelToken, emit: Emit) -> list[Verified]:
    """Hash the files of the models, as many at a time as there are cores, and note the result in each receipt.

    Returns: one verdict for each file. Raises: Interrupted.
    """
    verifier = _Verifier(named, token, emit)
    verdicts: list[Verified] = []
    for folder in dict.fromkeys(model.folder for model in models):  # one after the other: a name means one file
        ours = [model for model in models if model.folder == folder]
        known = {file.receipt.name: file.receipt for model in ours for file in model.files}
        verdicts += run_side_by_side(partial(verifier.one, folder), list(known.values()), token, _cores())
        for model in ours:
            for name in model.lost:
                verdicts.append(Verified(name, str(folder / name), model.reference, "missing", found="no receipt"))
                emit(verdicts[-1])
    return verdicts


def verify_unsure(model: InstalledModel, token: CancelToken, emit: Emit) -> list[Verified]:
    """Hash those files of the model that may have changed, by size and mtime, and note it. `emit` gets the progress.

    Returns: one verdict for each of these. Raises: Interrupted.
    """

    def progress(event: Event) -> None:
        if isinstance(event, Hashing):
            emit(event)

    unsure = tuple(file for file in model.files if file.state != "ok")
    names = tuple(file.receipt.name for file in unsure)
    return verify([replace(model, files=unsure, names=names)], lambda _known: None, token, progress)


def unmanaged(
    folder: Path, models: Iterable[InstalledModel], token: CancelToken, on_error: OnError = skip
) -> Iterator[Verified]:
    """Model files in the folder that luci did not install. Raises: Interrupted."""
    ours = {model.folder / name for model in models for name in model.names}

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            on_error(Path(error.filename), storage_error("read", error.filename, error))

    for where, folders, names in os.walk(folder, onerror=unreadable):
        token.check()
        here = Path(where)
        if here != folder and any(map(is_staging_folder, folders)):  # another models folder
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (here / name for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() in MODEL_FILES and path not in ours:
                yield Verified(path.relative_to(folder).as_posix(), str(path), "", "unmanaged")


class _Verifier:
    def __init__(self, named: Named, token: CancelToken, emit: Emit) -> None:
        self._named = named
        self._token = token
        self._emit = emit
        self._not_writable: set[Path] = set()
        self._lock = threading.Lock()

    def one(self, folder: Path, known: Receipt) -> Verified:
        """Check one file, report the verdict, and note it in the receipt."""
        try:
            verdict = self._checked(staging_for(folder, known.name, to_read=True), known)
        except (StorageError, UsageError) as error:
            reason = error.reason if isinstance(error, StorageError) else ""
            verdict = _verdict(folder, known, "unreadable", found=reason or error.message)
        self._emit(verdict)
        return verdict

    def _checked(self, staging: Staging, known: Receipt) -> Verified:
        for _ in range(_ATTEMPTS):
            known = receipt.read(staging.receipt) or known
            seen = target.identity_of(staging)
            verdict, right = self._compare(staging, known)
            if seen == target.identity_of(staging):
                self._note(staging, known, seen, self._updated(known, seen, verdict, right))
                break
        return verdict

    def _compare(self, staging: Staging, known: Receipt) -> tuple[Verified, Receipt | None]:
        """The verdict, and if the bytes are right, the receipt with that result."""
        self._token.check()
        folder, info = staging.folder, target.stat_of(staging)
        if info is None:
            return _verdict(folder, known, "missing"), None
        if info.st_size != known.size:
            state: Verdict = "truncated" if info.st_size < known.size else "changed"
            return _verdict(folder, known, state, f"{known.size} bytes", f"{info.st_size} bytes"), None
        hashed = report_hashing(self._emit, known.name, staging.target)
        again = target.read_again(staging, known, info.st_mtime_ns, self._token, hashed)
        if again.receipt is None:
            return _changed(folder, known, again.sha256, again.blocks), None
        return self._judged(staging, known), again.receipt

    def _judged(self, staging: Staging, known: Receipt) -> Verified:
        """The verdict on a file whose bytes are those that were installed."""
        if known.proof == "none":
            try:
                check_contents(staging.target, staging.target.name)
            except IntegrityError as error:
                what: Verdict = "invalid" if isinstance(error, OtherFile) else "truncated"
                return _verdict(staging.folder, known, what, found=error.message)
        artifact = self._named(known)
        if artifact and artifact.best_digest and not artifact.may_be(known.sha256, known.size):
            expected = f"{artifact.best_digest.label} {artifact.best_hex} by the catalog"
            return _verdict(staging.folder, known, "newer", expected, f"SHA-256 {known.sha256}")
        return _verdict(staging.folder, known, "ok")

    def _note(self, staging: Staging, known: Receipt, seen: target.Identity | None, new: Receipt) -> None:
        if new == known:
            return
        try:
            _write(staging, known, seen, new)
        except StorageError as error:  # a read-only folder, for example
            with contextlib.suppress(StorageError):
                receipt.remember(staging.receipt, new)
                return
            with self._lock:
                is_new = staging.folder not in self._not_writable
                self._not_writable.add(staging.folder)
            if is_new:
                self._emit(Warned(f"{error.message}; the results of the verification are not noted there"))

    def _updated(
        self, known: Receipt, seen: target.Identity | None, verdict: Verified, right: Receipt | None
    ) -> Receipt:
        """The receipt after that verdict."""
        if verdict.state == "changed" and seen and seen[-1] == known.mtime_ns:
            return replace(known, mtime_ns=DISTRUSTED)
        if verdict.wrong or right is None:
            return known
        artifact = self._named(known)
        is_proved = known.proof == "none" and artifact and artifact.provable and verdict.state == "ok"
        proof = artifact.proof if artifact and is_proved else known.proof  # the catalog has a digest now
        return replace(right, proof=proof)


def _verdict(folder: Path, known: Receipt, state: Verdict, expected: str = "", found: str = "") -> Verified:
    return Verified(known.name, str(folder / known.name), known.reference, state, expected, found)


def _changed(folder: Path, known: Receipt, sha256: str, blocks: Blocks) -> Verified:
    """The verdict on a file that has another SHA-256, and where it differs, if its receipt has blocks."""
    damaged = known.blocks.differing(blocks)
    verdict = _verdict(folder, known, "changed", f"SHA-256 {known.sha256}", f"SHA-256 {sha256}")
    if not damaged:
        return verdict
    ranges = [(segment.start, segment.end or known.size) for segment in segments_of(damaged, known.size)]
    differ = f"{len(damaged):,} of {count(known.size):,} blocks of 1 MiB differ"
    where = f"{differ}, the first at {human_size(ranges[0][0])}"
    return replace(verdict, found=f"{verdict.found}; {where}", damaged=tuple(ranges))


def _write(staging: Staging, known: Receipt, seen: target.Identity | None, new: Receipt) -> None:
    """Replace the receipt, unless another process is using it or has changed the file since. Raises: StorageError."""
    lock, is_new = Lock(staging.lock), not os.path.lexists(staging.lock)
    try:
        if not lock.try_acquire():
            return
        if receipt.read(staging.receipt) == known and target.identity_of(staging) == seen:
            receipt.write(staging.receipt, new)
        if is_new:
            lock.unlink_and_release()
    finally:
        lock.release()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
