"""A fault changes the file that a server has, its answer, or both. Faults are added up: `no_etag() + cut(1000)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.servers.honest import Answer, File, Request, answer


def _never(_request: Request) -> Fault | None:
    return None


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one exchange, or with each of them.

    Attributes:
        instead: the fault in place of this one, for some requests.
    """

    on_file: Callable[[File], File] = lambda file: file
    on_answer: Callable[[Answer], Answer] = lambda answer: answer
    instead: Callable[[Request], Fault | None] = _never

    def __add__(self, other: Fault) -> Fault:
        return Fault(
            lambda file: other.on_file(self.on_file(file)),
            lambda answer: other.on_answer(self.on_answer(answer)),
            lambda request: self.instead(request) or other.instead(request),
        )

    def answer(self, request: Request, file: File) -> Answer:
        if found := self.instead(request):
            return found.answer(request, file)
        return self.on_answer(answer(request, self.on_file(file)))


def ok() -> Fault:
    """Nothing goes wrong."""
    return Fault()


def answer_with(**changes: object) -> Fault:
    return Fault(on_answer=lambda answer: replace(answer, **changes))  # type: ignore[arg-type]


def headers(**more: str) -> Fault:
    """More headers; an underscore stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return Fault(on_answer=lambda answer: replace(answer, headers={**answer.headers, **named}))
