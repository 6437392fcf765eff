"""What becomes of the parts of a transaction that did not commit: kept or removed, within a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.locks import Verb
from luci_dl.disk.part import Part
from luci_dl.errors import StorageError
from luci_dl.events import Deleted, Event, Kept, NotDeleted, Warned

HURRY_S = 2.0
"""How long a user who interrupts waits for the disk at most, in seconds."""
PATIENCE_S = 60.0
"""The same without an interrupt."""
_REMOVE_S = 0.4  # of that time, to remove what could not be kept
_POLL_S = 0.05


def end_parts(
    parts: Sequence[Part], verb: Verb, keep: bool, hurry: bool, token: CancelToken, release: Callable[[bool], None]
) -> list[Event]:
    """Keep or remove every part, then `release` the locks. A disk that hangs delays this for a limited time only.

    A thread does all of it. When the time is over, it continues alone, and the locks stay held until it is done or the
    process ends, so no other process gets a part that this one may still change.

    Args:
        verb: the command that starts again, or resumes.
        hurry: the user interrupted. Cancelling `token` later has the same effect.
        release: called in the end with whether anything was kept.

    Returns: what became of each part.
    """
    ended: dict[Part, list[Event]] = {}
    bugs: list[BaseException] = []
    through = threading.Event()
    until = time.monotonic() + (HURRY_S if hurry else PATIENCE_S)

    def work() -> None:
        try:
            for part in parts:
                ended[part] = _end(part, verb, keep, until - _REMOVE_S)
        except BaseException as bug:  # noqa: BLE001 - handed over, raised again below
            bugs.append(bug)
        finally:
            release(any(isinstance(event, Kept) for events in ended.values() for event in events))
            through.set()

    try:
        start_thread(work, "luci-end")
    except StorageError:
        work()
    while not through.wait(_POLL_S) and time.monotonic() < until:
        if token.cancelled and not hurry:
            hurry, until = True, min(until, time.monotonic() + HURRY_S)
    if through.is_set() and bugs:
        raise bugs[0]
    return [event for part in parts for event in (ended[part] if part in ended else _hangs(part))]


def _end(part: Part, verb: Verb, keep: bool, until: float) -> list[Event]:
    name = part.artifact.name
    kept = 0
    events: list[Event] = []
    try:
        kept = part.suspend(until) if keep else 0
    except TimeoutError:
        why = "the disk did not finish its last operation in time"
        events.append(Warned(f"The partial download of {name} cannot be kept: {why}"))
    except StorageError:  # unusable after a write error: already reported
        pass
    try:
        if kept:
            events.append(Kept(name, kept, part.size, verb))
        elif part.remove():
            events.append(Deleted(name, verb))
    except StorageError as error:
        events.append(NotDeleted(name, error.reason, str(part.staging.part)))
    return events


def _hangs(part: Part) -> list[Event]:
    if not part.exists:
        return []
    return [NotDeleted(part.artifact.name, "the disk does not respond", str(part.staging.part))]
