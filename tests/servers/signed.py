"""A signed address that expires while a file is fetched from it, as those of content delivery networks do."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from tests.servers.faults import Fault
from tests.servers.honest import Answer, File, Request, answer
from tests.servers.server import FaultyServer


class SignedAddress:
    """An address that expires with its tenth request, and the origin that redirects to it, or to a fresh one then.

    The origin takes its time for the fresh one. Until then, the first and the ninth request stay in flight.
    """

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._requested = 0

    def redirect(self, _request: Request, _answer: Answer) -> Answer:
        is_fresh = self._requested >= 10
        if is_fresh:
            threading.Timer(0.3, self._server.release).start()
        target = "/fresh" if is_fresh else "/signed"
        return Answer(302, {"Location": self._server.url(target, host="localhost")}, stall_head=is_fresh)

    def answer(self, request: Request, answer: Answer) -> Answer:
        self._requested += 1
        if self._requested in (1, 9):
            return dataclasses.replace(answer, stop=1000, ending="stall")
        return dataclasses.replace(answer, rate=4e6) if self._requested < 10 else Answer(403)

    def fault(self, decide: Callable[[Request, Answer], Answer]) -> Fault:
        lock = self._lock

        class Decided(Fault):
            def answer(self, request: Request, file: File) -> Answer:
                with lock:
                    return decide(request, answer(request, file))

        return Decided()
