"""Ranges that are not served, or other ones than were asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tests.servers.faults.base import Fault, headers
from tests.servers.honest import Answer, File


def no_ranges() -> Fault:
    """200 with the whole file, whatever range was asked; no Accept-Ranges."""
    return Fault(on_file=lambda file: replace(file, ranges=False))


def unannounced_ranges(said: str = "none") -> Fault:
    """Accept-Ranges denies what the server does."""
    return headers(Accept_Ranges=said)


def _of_ranges(change: Callable[[Answer, int, int, str], Answer]) -> Fault:
    """Changes a 206 whose Content-Range has this first and last byte and this size."""

    def apply(answer: Answer) -> Answer:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(.+)", answer.headers.get("Content-Range", ""))
        if answer.status != 206 or not found:
            return answer
        return change(answer, int(found[1]), int(found[2]), found[3])

    return Fault(on_answer=apply)


def content_range(text: str | None) -> Fault:
    """Content-Range in other words: "Bytes={first}-{last}/{size}"; None for no such header."""

    def change(answer: Answer, first: int, last: int, size: str) -> Answer:
        others = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
        said = {} if text is None else {"Content-Range": text.format(first=first, last=last, size=size)}
        return replace(answer, headers=others | said)

    return _of_ranges(change)


def wrong_range(shift: int = 0, total: int | str | None = None) -> Fault:
    """206 whose Content-Range is shifted by `shift` bytes, or names another `total`; the body is the right one."""

    def change(answer: Answer, first: int, last: int, size: str) -> Answer:
        said = f"bytes {first + shift}-{last + shift}/{size if total is None else total}"
        return replace(answer, headers={**answer.headers, "Content-Range": said})

    return _of_ranges(change)


def range_status(status: int = 200) -> Fault:
    """A range, with its Content-Range, under another status."""
    return _of_ranges(lambda answer, *_: replace(answer, status=status))


def whole_as_range(says: bool = True, count: int | None = None) -> Fault:
    """206 to a request for the whole file: for all of it, or only for its first `count` bytes.

    Args:
        says: which bytes they are, by Content-Range.
    """

    def change(answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        size, body = len(answer.body), answer.body[:count]
        said = {"Content-Range": f"bytes 0-{len(body) - 1}/{size}"} if says else {}
        return replace(answer, status=206, headers={**answer.headers, **said}, body=body)

    return Fault(on_answer=change)


def at_most(count: int) -> Fault:
    """206 with no more than `count` bytes of the range that was asked for."""

    def change(answer: Answer, first: int, _last: int, size: str) -> Answer:
        body = bytes(answer.body)[:count]
        named = {"Content-Length": str(len(body)), "Content-Range": f"bytes {first}-{first + len(body) - 1}/{size}"}
        return replace(answer, headers={**answer.headers, **named}, body=body)

    return _of_ranges(change)


def multipart() -> Fault:
    """206 as multipart/byteranges with one part."""

    def change(answer: Answer, first: int, last: int, size: str) -> Answer:
        part = f"--sep\r\nContent-Type: {answer.headers['Content-Type']}\r\nContent-Range: bytes {first}-{last}/{size}"
        body = f"{part}\r\n\r\n".encode() + bytes(answer.body) + b"\r\n--sep--\r\n"
        named = {"Content-Type": "multipart/byteranges; boundary=sep", "ETag": answer.headers.get("ETag", '"m"')}
        return replace(answer, headers=named, body=body)

    return _of_ranges(change)


def moved_range(move: Callable[[int, int], tuple[int, int]]) -> Fault:
    """The range from `first` to `last` is moved to another one, which is sent with the right Content-Range.

    Args:
        move: the first and the last byte that were asked for -> those that are sent.
    """
    files: list[File] = []

    def remember(file: File) -> File:
        files[:] = [file]
        return file

    def change(answer: Answer, first: int, last: int, size: str) -> Answer:
        start, end = move(first, last)
        start, end = max(0, start), min(len(files[0].data), end + 1)
        body = memoryview(files[0].data)[start:end]
        return replace(
            answer, headers={**answer.headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}, body=body
        )

    return Fault(on_file=remember) + _of_ranges(change)
