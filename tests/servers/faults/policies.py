"""Faults that depend on the request, on the ones before it, or on those that are being answered."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tests.servers.faults.base import Fault
from tests.servers.honest import Answer, Request


def to_ranges(fault: Fault) -> Fault:
    """Goes wrong with every request for a range."""
    return Fault(instead=lambda request: fault if "range" in request.headers else None)


def to_each(nth: int, fault: Fault) -> Fault:
    """Goes wrong with each `nth` request."""
    numbers = itertools.count(1)
    return Fault(instead=lambda _: fault if next(numbers) % nth == 0 else None)


def after(count: int, fault: Fault, key: Callable[[Request], str] = lambda _: "") -> Fault:
    """Goes wrong with every request after the first `count`, counted for each `key` of its own."""
    seen, lock = Counter[str](), threading.Lock()

    def instead(request: Request) -> Fault | None:
        with lock:
            seen[key(request)] += 1
            return fault if seen[key(request)] > count else None

    return Fault(instead=instead)


def expires(uses: int, fault: Fault) -> Fault:
    """Each address, by its query, works for so many requests."""
    return after(uses, fault, key=lambda request: request.target)


def further(allowed: int, fault: Fault) -> Fault:
    """Goes wrong with every request beyond those `allowed` at a time."""
    running, lock = [0], threading.Lock()

    def done() -> None:
        with lock:
            running[0] -= 1

    def count(answer: Answer) -> Answer:
        with lock:
            running[0] += 1
        return replace(answer, done=(*answer.done, done))

    return Fault(on_answer=count, instead=lambda _: fault if running[0] >= allowed else None)
