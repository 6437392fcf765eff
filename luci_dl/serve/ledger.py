"""Placeholder until the page's own: what came in and went out."""

from __future__ import annotations


class Ledger:
    def received(self, sha256: str, count: int) -> None: ...

    def sent(self, sha256: str, client: str, count: int) -> None: ...
