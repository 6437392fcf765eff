"""Docker's registry of models, and others of its kind, as a source: `docker:`. See `Source` in sources/base.py."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.model import Model
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints, Server
from luci_dl.sources.selection import FileSelection

DIGEST_ORIGIN = "registry"
TAKES_PATTERNS = False
TAKES_HEADERS = False
RECEIPT_IS_ENOUGH = False  # the registry wants a token, which is asked for with the address of the whole model


def claims(word: str, _endpoints: Endpoints) -> bool:
    from luci_dl.sources.docker.name import is_name

    return is_name(word)


def canonical(word: str, _endpoints: Endpoints) -> str:
    from luci_dl.sources.docker.name import parse_name

    return str(parse_name(word))


def is_pinned(_reference: str) -> bool:
    return False


def targets(reference: str) -> tuple[str, ...]:
    from luci_dl.sources.docker.name import parse_name

    return (f"{parse_name(reference).stem}.gguf",)


def resolve(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    from luci_dl.sources.docker.resolve import resolve_name

    return resolve_name(word, selection, context)


def servers(endpoints: Endpoints) -> Iterator[Server]:
    yield Server("Docker's registry", f"{endpoints.docker}/v2/")
