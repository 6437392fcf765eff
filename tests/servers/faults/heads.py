"""Heads of every odd form, and what they say of the body's coding."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace

from tests.servers.faults.base import Fault, answer_with, headers
from tests.servers.honest import Answer


def head(change: Callable[[bytes], bytes]) -> Fault:
    """The head, with the empty line at its end, is changed before it is sent."""
    return Fault(on_answer=lambda answer: replace(answer, head=lambda sent: change(answer.head(sent))))


def interim(*statuses: int) -> Fault:
    """Interim answers come first: 100, 102, 103."""
    first = b"".join(b"HTTP/1.1 %d Wait\r\nLink: </x>; rel=preload\r\n\r\n" % status for status in statuses)
    return head(lambda sent: first + sent)


def more_lines(lines: bytes) -> Fault:
    """Lines after the status line: a folded header, one without a colon, a blank before the colon."""
    return head(lambda sent: sent.replace(b"\r\n", b"\r\n" + lines, 1))


def bare_line_feeds() -> Fault:
    return head(lambda sent: sent.replace(b"\r\n", b"\n"))


def status_line(line: bytes) -> Fault:
    """Another first line, without its line end: b"HTTP/1.0 200", b"HTTP/1.1 200" without a reason."""
    return head(lambda sent: line % int(sent.split()[1]) + sent[sent.index(b"\r\n") :])


def non_authoritative() -> Fault:
    """203 in place of 200, as proxies say that change something."""
    return Fault(on_answer=lambda answer: replace(answer, status=203 if answer.status == 200 else answer.status))


def http_1_0() -> Fault:
    """As an old server: the connection ends after each answer."""
    return status_line(b"HTTP/1.0 %d OK") + answer_with(ending="fin")


def upper_case() -> Fault:
    """The names of headers in capitals."""
    return head(lambda sent: re.sub(rb"(?m)^[\w-]+:", lambda name: name[0].upper(), sent))


def huge_headers(size: int = 1 << 20) -> Fault:
    """One header of `size` bytes."""
    return headers(X_Huge="x" * size)


def coded(name: str) -> Fault:
    """Content-Encoding says so, after what it says already; the bytes are as they are."""

    def change(answer: Answer) -> Answer:
        names = [answer.headers["Content-Encoding"]] if "Content-Encoding" in answer.headers else []
        return replace(answer, headers={**answer.headers, "Content-Encoding": ", ".join([*names, name])})

    return Fault(on_answer=change)


def gzipped() -> Fault:
    """Content-Encoding: gzip, asked for or not."""

    def change(answer: Answer) -> Answer:
        return replace(
            answer,
            headers={**answer.headers, "Content-Encoding": "gzip"},
            body=gzip.compress(bytes(answer.body), mtime=0),
        )

    return Fault(on_answer=change)
