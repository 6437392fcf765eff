"""The servers of one case: where the file lies, what leads there, and what goes wrong in which run."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import ExitStack
from functools import reduce
from operator import add
from random import Random
from types import TracebackType
from typing import Self

from tests.servers import FaultyServer, faults
from tests.servers.faults import Fault
from tests.torture.case import Case, Trait
from tests.torture.world import CLOCKS, Clock, authority

SECRET = "hush-hush"
MAX_BARREN = 30
"""Requests a minute to one address that bring nothing; more are a storm."""


class Servers:
    """Serves the file of a case at `urls` until closed; also a context manager."""

    def __init__(self, case: Case, data: bytes) -> None:
        self._case, self._data = case, data
        self._clock = Clock()
        self._stack = ExitStack()
        count = 2 if case.mirror else 1
        self._servers = [
            self._stack.enter_context(FaultyServer(authority() if case.tls else None, self._clock))
            for _ in range(count)
        ]
        CLOCKS.set([server.port for server in self._servers], self._clock)
        self._manner = self._sum("manner")
        self.urls = [self._servers[0].url(f"/start/{case.name}?token={SECRET}")]
        if case.mirror:
            self.urls.append(self._servers[1].serve(f"/{case.name}", data, [self._sum("mirror")]))

    def begin_run(self, run: int) -> None:
        """From now on, things go wrong as in that run; after the last one nothing does."""
        case, name = self._case, self._case.name
        script = [self._fault(trait) for trait in case.at(str(run))]
        honest = run >= case.runs
        if case.begun and not honest:
            script.insert(0, faults.cut(1 + len(self._data) // 3))
        manner = faults.ok() if honest else self._manner
        steps = [step + manner for step in script] + [manner]
        server, route = self._servers[0], "direct" if honest and case.route != "hub" else case.route
        server.serve("/loop", faults=[faults.redirect("/loop")])
        if route == "direct":
            server.serve(f"/start/{name}", self._data, steps)
            return
        if route == "expiring":
            uses = Random(case.seed).choice([1, 2, 3])
            refused = faults.status(403, body=b"<Error><Message>Request has expired</Message></Error>")
            steps = [faults.expires(uses, refused) + step for step in steps]
        server.serve("/there%C3%A9", self._data, steps)
        server.serve(f"/start/{name}", faults=[self._redirect(route, run)])
        server.serve("/hop", faults=[faults.redirect("../there%C3%A9?x=1", 307)])

    def _redirect(self, route: str, run: int) -> Fault:
        there = self._servers[0].url(f"/there%C3%A9?X-Amz-Signature={SECRET}", host="localhost")
        numbers = itertools.count()
        locations = {
            "same host": "/there%C3%A9",
            "relative": "../there%C3%A9",
            "raw": "/thereé".encode().decode("latin-1"),
            "fragment": f"{there}#part",
            "chain": self._servers[0].url("/hop", host="localhost"),
        }
        limit = faults.ok() if run >= self._case.runs else self._sum("origin")
        if route == "hub":
            return limit + faults.hub_redirect(there, self._data)
        if route == "expiring":
            return limit + Fault(instead=lambda _: faults.redirect(f"{there}&n={next(numbers)}"))
        return limit + faults.redirect(
            locations.get(route, there), Random(self._case.seed).choice([301, 302, 303, 307, 308])
        )

    def _sum(self, place: str) -> Fault:
        return reduce(add, map(self._fault, self._case.at(place)), faults.ok())

    def _fault(self, trait: Trait) -> Fault:
        return trait.behaviour.make(Random(trait.seed), self._data)

    def storm(self) -> str:
        """The address that got too many requests in vain within a minute, and how many; else empty."""
        for server in self._servers:
            barren: dict[str, list[float]] = {}
            for seen in server.exchanges():
                if not (seen.status // 100 == 3 or (seen.status in (200, 203, 206) and seen.sent)):
                    barren.setdefault(seen.target.partition("?")[0], []).append(seen.at)
            for target, times in barren.items():
                worst = max(Counter({at: sum(at <= other < at + 60 for other in times) for at in times}).values())
                if worst > MAX_BARREN:
                    return f"{worst} requests in vain to {target} within a minute"
        return ""

    def story(self) -> str:
        """All requests, for a report."""
        lines = [
            f"{seen.at - self._clock.began:9.3f} {seen.target.partition('?')[0]} {seen.headers.get('range', '-')} "
            f"-> {seen.status}, {seen.sent} bytes"
            for server in self._servers
            for seen in server.exchanges()
        ]
        return "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()
