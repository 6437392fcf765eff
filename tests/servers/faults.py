"""What can go wrong with one exchange. Faults are added up: `no_etag() + cut(1000)`."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.servers.honest import Answer, File, Framing, Request, answer


@dataclass(frozen=True)
class Fault:
    """Changes the file that the server has, or its answer, or both."""

    on_file: Callable[[File], File] = lambda file: file
    on_answer: Callable[[Answer], Answer] = lambda answer: answer

    def __add__(self, other: Fault) -> Fault:
        return Fault(
            lambda file: other.on_file(self.on_file(file)),
            lambda answer: other.on_answer(self.on_answer(answer)),
        )

    def answer(self, request: Request, file: File) -> Answer:
        return self.on_answer(answer(request, self.on_file(file)))


def ok() -> Fault:
    """Nothing goes wrong."""
    return Fault()


# --- the file is another one


def changed(data: bytes) -> Fault:
    """Another version of the file, with its own ETag."""
    return Fault(on_file=lambda file: File.of(data))


def flipped(at: int) -> Fault:
    """One wrong byte at offset `at` of the file; ETag and length as if nothing were."""
    return Fault(on_file=lambda file: replace(file, data=_flip(file.data, at)))


def longer(by: int) -> Fault:
    """The file has `by` bytes more, and says so in its Content-Length; the ETag is the old one."""
    return Fault(on_file=lambda file: replace(file, data=file.data + bytes(by)))


def shorter(by: int) -> Fault:
    """The file lacks its last `by` bytes, and says so in its Content-Length; the ETag is the old one."""
    return Fault(on_file=lambda file: replace(file, data=file.data[: len(file.data) - by]))


def no_etag() -> Fault:
    return Fault(on_file=lambda file: replace(file, etag=None))


def weak_etag() -> Fault:
    return Fault(on_file=lambda file: replace(file, etag=f"W/{file.etag}"))


def no_ranges() -> Fault:
    """200 with the whole file, whatever range was asked; no Accept-Ranges."""
    return Fault(on_file=lambda file: replace(file, ranges=False))


# --- the delivery fails


def cut(after: int, reset: bool = False) -> Fault:
    """The connection ends after `after` bytes of the body: orderly, or with a reset that may overtake some of them."""
    return _answer_with(stop=after, ending="reset" if reset else "fin")


def stall(after: int) -> Fault:
    """Nothing comes after the first `after` bytes of the body, until `release`; then the rest does."""
    return _answer_with(stop=after, ending="stall")


def stall_head() -> Fault:
    """Not even the status line comes, until `release`."""
    return _answer_with(stall_head=True)


def trickle(rate: float) -> Fault:
    """`rate` bytes of the body a second."""
    return _answer_with(rate=rate)


def chunked() -> Fault:
    """No Content-Length: the body comes in chunks."""
    return _framed("chunked")


def close_delimited() -> Fault:
    """No Content-Length: the body ends when the connection does."""
    return _framed("close")


def endless() -> Fault:
    """No Content-Length, and after the body zeros without end."""
    return _framed("chunked") + _answer_with(endless=True)


def garbage(raw: bytes = b"\x00\xff\x1b[31mnot HTTP\r\n\r\n") -> Fault:
    """Bytes that are no HTTP, then the end."""
    return _answer_with(raw=raw, ending="fin")


# --- the answer lies


def announce(delta: int) -> Fault:
    """Content-Length is wrong by `delta`; the connection ends after the body."""

    def change(answer: Answer) -> Answer:
        length = str(len(answer.body) + delta)
        return replace(answer, headers={**answer.headers, "Content-Length": length}, ending="fin")

    return Fault(on_answer=change)


def wrong_range(shift: int = 0, total: int | str | None = None) -> Fault:
    """206 whose Content-Range is shifted by `shift` bytes, or names another `total`; the body is the right one."""

    def change(answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        span, size = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
        first, last = (int(number) + shift for number in span.split("-"))
        said = f"bytes {first}-{last}/{size if total is None else total}"
        return replace(answer, headers={**answer.headers, "Content-Range": said})

    return Fault(on_answer=change)


def at_most(count: int) -> Fault:
    """206 with no more than `count` bytes of the range that was asked for."""

    def change(answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        span, size = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
        first = int(span.split("-")[0])
        body = bytes(answer.body)[:count]
        named = {"Content-Length": str(len(body)), "Content-Range": f"bytes {first}-{first + len(body) - 1}/{size}"}
        return replace(answer, headers={**answer.headers, **named}, body=body)

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


def headers(**more: str) -> Fault:
    """More headers; an underscore stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return Fault(on_answer=lambda answer: replace(answer, headers={**answer.headers, **named}))


def huge_headers(size: int = 1 << 20) -> Fault:
    """One header of `size` bytes."""
    return headers(X_Huge="x" * size)


# --- another answer


def status(code: int, retry_after: int | str | None = None, body: bytes = b"") -> Fault:
    """That status and body; `retry_after` in seconds or as an HTTP date."""
    asked = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Fault(on_answer=lambda _: Answer(code, asked, body))


def redirect(location: str, code: int = 302, **more: str) -> Fault:
    """To any address, relative ones too; `more` headers as in `headers`."""
    return status(code) + headers(Location=location, **more)


def hub_redirect(location: str, data: bytes, commit: str = "0" * 40) -> Fault:
    """The Hub's first answer for an LFS file of these bytes, which lie at `location`."""
    return redirect(
        location,
        X_Linked_Etag=f'"{hashlib.sha256(data).hexdigest()}"',
        X_Linked_Size=str(len(data)),
        X_Repo_Commit=commit,
    )


def login_page() -> Fault:
    """200 with a page of HTML, as captive portals do."""
    return status(200, body=b"<!DOCTYPE html><title>Please log in</title>") + headers(Content_Type="text/html")


def _framed(framing: Framing) -> Fault:
    return _answer_with(framing=framing)


def _answer_with(**changes: object) -> Fault:
    return Fault(on_answer=lambda answer: replace(answer, **changes))  # type: ignore[arg-type]


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
