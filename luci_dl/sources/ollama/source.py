"""Ollama's registry, and others of its kind, as a source: `ollama:` references. See `Source` in sources/base.py."""

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
    from luci_dl.sources.ollama.name import is_name

    return is_name(word)


def canonical(word: str, _endpoints: Endpoints) -> str:
    from luci_dl.sources.ollama.name import parse_name

    return str(parse_name(word))


def is_pinned(_reference: str) -> bool:
    return False


def targets(reference: str) -> tuple[str, ...]:
    from luci_dl.sources.ollama.name import parse_name

    return parse_name(reference).targets


def resolve(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    from luci_dl.sources.ollama.resolve import resolve_name

    return resolve_name(word, selection, context)


def servers(endpoints: Endpoints) -> Iterator[Server]:
    yield Server("the Ollama registry", f"{endpoints.ollama}/v2/")
