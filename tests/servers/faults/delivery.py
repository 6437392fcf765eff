"""The bytes come late, in part, in another framing, or with others behind them."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.servers.faults.base import Fault, answer_with, headers
from tests.servers.honest import Answer, Framing


def cut(after: int, reset: bool = False) -> Fault:
    """The connection ends after `after` bytes of the body: orderly, or with a reset that may overtake some of them."""
    return answer_with(stop=after, ending="reset" if reset else "fin")


def closes() -> Fault:
    """The connection ends after the body, although nothing says so."""
    return answer_with(ending="fin")


def stall(after: int) -> Fault:
    """No byte of the file from `after` on comes until `release`, whichever range is asked for; then the rest does."""

    def halt(answer: Answer) -> Answer:
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        start = int(found[1]) if found else 0
        return replace(answer, stop=max(0, after - start), ending="stall")

    return Fault(on_answer=halt)


def stall_head() -> Fault:
    """Not even the status line comes, until `release`."""
    return answer_with(stall_head=True)


def trickle(rate: float) -> Fault:
    """`rate` bytes of the body a second."""
    return answer_with(rate=rate)


def chunked() -> Fault:
    """No Content-Length: the body comes in chunks."""
    return _framed("chunked")


def chunk_sizes(line: bytes) -> Fault:
    """The size of each chunk is written so: b"%x;name=value\\r\\n", or as what it is not."""
    return chunked() + answer_with(chunk_line=line)


def no_last_chunk() -> Fault:
    """The connection ends where the last, empty chunk should come."""
    return Fault(on_answer=lambda answer: replace(answer, framing="chunked", stop=len(answer.body), ending="fin"))


def close_delimited() -> Fault:
    """No Content-Length: the body ends when the connection does."""
    return _framed("close")


def endless() -> Fault:
    """No Content-Length, and after the body zeros without end."""
    return _framed("chunked") + answer_with(endless=True)


def followed_by(tail: bytes) -> Fault:
    """Bytes after the body that belong to no answer."""
    return answer_with(tail=tail)


def garbage(raw: bytes = b"\x00\xff\x1b[31mnot HTTP\r\n\r\n") -> Fault:
    """Bytes that are no HTTP, then the end."""
    return answer_with(raw=raw, ending="fin")


def hangs_up() -> Fault:
    """The connection ends without a byte."""
    return garbage(b"")


def announce(delta: int) -> Fault:
    """Content-Length is wrong by `delta`; the connection ends after the body."""

    def change(answer: Answer) -> Answer:
        length = str(len(answer.body) + delta)
        return replace(answer, headers={**answer.headers, "Content-Length": length}, ending="fin")

    return Fault(on_answer=change)


def length_twice(between: str = ", ") -> Fault:
    """Content-Length with the same number twice: in one line, or, with "\\r\\nContent-Length: ", in two."""

    def change(answer: Answer) -> Answer:
        if answer.framing != "length":
            return answer
        length = str(len(answer.body))
        return replace(answer, headers={**answer.headers, "Content-Length": f"{length}{between}{length}"})

    return Fault(on_answer=change)


def says(connection: str) -> Fault:
    """`Connection: keep-alive` or `close`, whatever happens to it."""
    return headers(Connection=connection)


def _framed(framing: Framing) -> Fault:
    return answer_with(framing=framing)
