"""Objects in S3 and in stores that speak its protocol, as a source: `s3://`. See `Source` in sources/base.py."""

from __future__ import annotations

from luci_dl.model import Model
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints, Server
from luci_dl.sources.selection import FileSelection

DIGEST_ORIGIN = "bucket"
TAKES_PATTERNS = False
TAKES_HEADERS = False
RECEIPT_IS_ENOUGH = True


def claims(word: str, _endpoints: Endpoints) -> bool:
    return word[:5].casefold() == "s3://"


def canonical(word: str, _endpoints: Endpoints) -> str:
    from luci_dl.sources.s3.place import parse_place

    return parse_place(word)[0]


def is_pinned(_reference: str) -> bool:
    return False


def targets(reference: str) -> tuple[str, ...]:
    return (reference.rpartition("/")[2],)


def resolve(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    from luci_dl.sources.s3.resolve import resolve_place  # loads obstore

    return resolve_place(word, selection, context)


def servers(_endpoints: Endpoints) -> tuple[Server, ...]:
    return ()
