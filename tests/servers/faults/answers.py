"""Another answer than the file: an error, a redirect, a page."""

from __future__ import annotations

import hashlib

from tests.servers.faults.base import Fault, answer_with, headers
from tests.servers.honest import Answer

PAGE = b"<!DOCTYPE html><title>Please log in</title>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def status(code: int, retry_after: int | str | None = None, body: bytes = b"") -> Fault:
    """That status and body; `retry_after` in seconds or as an HTTP date."""
    asked = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Fault(on_answer=lambda _: Answer(code, asked, body))


def endless_error(code: int) -> Fault:
    """An error whose page never ends."""
    return status(code, body=PAGE) + answer_with(framing="chunked", endless=True)


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


def page(body: bytes, content_type: str, code: int = 200) -> Fault:
    """Something else in place of the file."""
    return status(code, body=body) + headers(Content_Type=content_type)


def login_page(code: int = 200) -> Fault:
    """A page of HTML, as captive portals send it."""
    return page(PAGE, "text/html", code)
