"""What `judge` compares: the situation of a request, and the head of the answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from luci_dl.frozen import frozen

PATIENCE = 2
"""Consecutive failures after which a refusal is no longer taken for a passing one."""


@frozen
class Situation:
    """What is known of the file and its address when a response arrives.

    Attributes:
        name: of the target.
        size: bytes of the file, if known.
        provable: a digest will prove the file.
        only_url: the file has no other address that is in use.
        beside: connections that are receiving the file from the same address.
        served: the address has served bytes of the file in this run.
        ranges_served: among them a range that was requested as such.
        located: the request goes to where the origin redirected an earlier one.
        failures: consecutive attempts at the address before this one that brought no byte.
    """

    name: str
    size: int | None = None
    provable: bool = False
    only_url: bool = True
    beside: int = 0
    served: bool = False
    ranges_served: bool = False
    located: bool = False
    failures: int = 0


@frozen
class Answer:
    """The head of a response, after redirects.

    Attributes:
        headers: by lower-case name.
        host: that sent it, when the request was redirected to another one; else empty.
        through: the proxy that may have sent an error itself, in words; else empty.
        repository: the request was for a registry's repository.
        message: the server's own words, of an error; may be empty.
        code: the server's own code for the error, if it is JSON with one; else empty.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    host: str = ""
    through: str = ""
    repository: bool = False
    message: str = ""
    code: str = ""
