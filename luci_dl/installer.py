"""The flow: what stands there already, a transaction, a fetch into it, the commit; for one model and for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from luci_dl.artifact import Artifact
from luci_dl.cancel import CancelToken, off_thread
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, Interrupted, LuciError, NetworkError
from luci_dl.events import Emit, Event, Failed, Installed, Planned, Progress, Stopped, Summary, Warned
from luci_dl.net.answers import Ask
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from luci_dl.net.retry import AttemptFailed
from luci_dl.plan import Options, Plan

Status = Literal["installed", "failed", "interrupted", "not started"]
_STORAGE_EXIT = 6


@dataclass(frozen=True)
class Outcome:
    """How it ended for one model. `endings` tell what became of its parts."""

    reference: str
    status: Status
    installed: Installed | None = None
    error: LuciError | None = None
    endings: tuple[Event, ...] = ()


def install_models(
    plans: Sequence[Plan], options: Options, token: CancelToken, emit: Emit, client: Client | None = None
) -> list[Outcome]:
    """Install every model, `options.jobs` side by side; go on after a failure, but not after a full disk or a signal.

    Returns: one outcome for each plan, in their order. Emits everything that a user should read, the summary last.
    """
    total = sum(artifact.size or 0 for plan in plans for artifact in plan.artifacts)
    emit(Planned(tuple(plan.reference for plan in plans), total, any(plan.model.size is None for plan in plans)))
    run = _Run(plans, options, token, emit, client or Client())
    outcomes = run.all()
    if token.cancelled and any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        emit(Stopped(token.signum))
        for outcome in outcomes:
            if outcome.status == "interrupted":
                _tell_all(outcome.endings, emit)
    if len(plans) > 1:
        emit(_summary(outcomes))
    return outcomes


class _Run:
    """Several models, each in one transaction of its own."""

    def __init__(self, plans: Sequence[Plan], options: Options, token: CancelToken, emit: Emit, client: Client) -> None:
        self._plans = plans
        self._options = options
        self._token = token
        self._emit = emit
        self._client = client
        self._outcomes = [Outcome(plan.reference, "not started") for plan in plans]
        self._next = 0
        self._halted = False
        self._lock = threading.Lock()

    def all(self) -> list[Outcome]:
        jobs = min(self._options.jobs, len(self._plans))
        if jobs <= 1:
            self._work()
            return self._outcomes
        threads = [threading.Thread(target=self._work, name=f"luci-job-{number}") for number in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)  # short, so that a signal reaches its handler
        return self._outcomes

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._next >= len(self._plans) or self._halted or self._token.cancelled:
                    return
                index, self._next = self._next, self._next + 1
            outcome = self._one(self._plans[index])
            self._outcomes[index] = outcome
            if outcome.status == "interrupted" or (outcome.error and outcome.error.exit_code == _STORAGE_EXIT):
                self._halted = True

    def _one(self, plan: Plan) -> Outcome:
        try:
            transaction = Transaction(
                plan.folder,
                plan.artifacts,
                reference=plan.reference,
                options=self._options,
                token=self._token,
                emit=self._emit,
            )
        except LuciError as error:
            return self._failed(plan, error, ())
        try:
            installed = install_one(plan, transaction, self._options, self._token, self._emit, self._client)
        except Interrupted as error:
            return Outcome(plan.reference, "interrupted", error=error, endings=tuple(transaction.endings))
        except LuciError as error:
            return self._failed(plan, error, tuple(transaction.endings))
        self._emit(installed)
        return Outcome(plan.reference, "installed", installed)

    def _failed(self, plan: Plan, error: LuciError, endings: tuple[Event, ...]) -> Outcome:
        self._emit(Failed(plan.reference, error.message, error.hint, error.exit_code))
        _tell_all(endings, self._emit)
        return Outcome(plan.reference, "failed", error=error, endings=endings)


def install_one(
    plan: Plan, transaction: Transaction, options: Options, token: CancelToken, emit: Emit, client: Client
) -> Installed:
    """Install the plan's model: all files or none.

    Raises: LuciError of every kind; then no target has changed, and `transaction.endings` tells of the parts.
    """
    began = time.monotonic()
    fetched = 0
    with transaction:
        artifacts, how = _missing(plan, transaction, options, token, client)
        for artifact in artifacts:
            fetched += _fetch(artifact, transaction, options, token, emit, client)
        if artifacts:
            transaction.commit()
    targets = [plan.folder / artifact.name for artifact in plan.artifacts]
    size = sum(target.stat().st_size for target in targets)
    return Installed(
        plan.reference, tuple(str(target) for target in targets), size, how, fetched, time.monotonic() - began
    )


def _fetch(
    artifact: Artifact, transaction: Transaction, options: Options, token: CancelToken, emit: Emit, client: Client
) -> int:
    """Fill the part of that file. Returns: bytes that came over the network."""
    part = transaction.open(artifact)

    def tell(progress: Progress) -> None:
        transaction.tell(progress.name, progress.done, progress.total, progress.rate)

    Fetch(client, artifact, part, retries=options.retries, token=token, emit=emit, tell=tell, check=part.check).run()
    if not part.provable:
        digest = part.verify(token)
        emit(
            Warned(
                f"{artifact.name}: no digest is known, so only its length and first bytes were checked; "
                f"its SHA-256 is {digest}"
            )
        )
    return part.fetched


def _missing(
    plan: Plan, transaction: Transaction, options: Options, token: CancelToken, client: Client
) -> tuple[list[Artifact], str]:
    """The files that have to be fetched, and how the model counts as installed once they are there.

    Raises: IntegrityError, when a file that luci did not install is in the way.
    """
    found = {}
    for artifact in plan.artifacts:
        found[artifact] = transaction.look(artifact)
        if found[artifact].state == "foreign" and not options.force:
            named = _ask_the_hub(artifact, token, client)
            found[artifact] = transaction.look(named) if named.provable and not artifact.provable else found[artifact]
            if found[artifact].state == "foreign":
                raise _in_the_way(plan, artifact, found[artifact])
            if found[artifact].state == "adoptable":
                transaction.adopt(named, found[artifact])
        elif found[artifact].state == "adoptable":
            transaction.adopt(artifact, found[artifact])
    states = {here.state for here in found.values()}
    fetched = {"missing", "damaged", "foreign"}
    if states & fetched or options.force:
        fetched.add("newer")  # files of two versions do not make a model
    missing = [
        artifact
        for artifact, here in found.items()
        if here.state in fetched or (options.force and not artifact.provable)
    ]
    if missing:
        return missing, "downloaded"
    if "newer" in states:
        return [], "newer"
    return [], "adopted" if "adoptable" in states else "already"


def _ask_the_hub(artifact: Artifact, token: CancelToken, client: Client) -> Artifact:
    """The artifact with the digest by the Hub's word, where none is known and the Hub has one."""
    if artifact.provable:
        return artifact
    try:
        answer = off_thread(
            lambda: client.get(artifact.name, Ask(artifact.urls[0], 0, None, None), artifact.headers), token
        )
    except AttemptFailed as failure:
        raise NetworkError(
            f"{artifact.name} is there, without a receipt; to judge it, {failure.reason}", "Try again later."
        ) from failure
    answer.close()
    return replace(artifact, sha256=answer.remote.sha256, size=artifact.size or answer.remote.size)


def _in_the_way(plan: Plan, artifact: Artifact, found: Found) -> IntegrityError:
    wrong = (
        f"its SHA-256 is {found.sha256}, expected {artifact.sha256}"
        if found.sha256 and artifact.sha256
        else ("it is not the file that is named" if found.sha256 else "no digest is known to hold it against")
    )
    return IntegrityError(
        f"{plan.folder / artifact.name} is there, luci did not install it, and {wrong}",
        "Move it away, or replace it with --force.",
    )


def _tell_all(events: Sequence[Event], emit: Emit) -> None:
    for event in events:
        emit(event)


def _summary(outcomes: Sequence[Outcome]) -> Summary:
    def of(status: Status) -> tuple[str, ...]:
        return tuple(outcome.reference for outcome in outcomes if outcome.status == status)

    failed = tuple(
        (outcome.reference, outcome.error.message)
        for outcome in outcomes
        if outcome.status == "failed" and outcome.error
    )
    return Summary(of("installed"), of("interrupted"), failed, of("not started"))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The first failure's code; 0 when nothing failed."""
    return next((outcome.error.exit_code for outcome in outcomes if outcome.error), 0)
