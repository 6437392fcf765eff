"""The Hugging Face Hub as a source: `hf:` references and pasted addresses. See `Source` in sources/base.py."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.model import Model
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints, Server
from luci_dl.sources.selection import FileSelection

DIGEST_ORIGIN = "hub"
TAKES_PATTERNS = True
TAKES_HEADERS = False
RECEIPT_IS_ENOUGH = True


def claims(word: str, endpoints: Endpoints) -> bool:
    from luci_dl.sources.huggingface.reference import is_reference

    return is_reference(word, endpoints.hub)


def canonical(word: str, endpoints: Endpoints) -> str:
    from luci_dl.sources.huggingface.reference import parse

    return parse(word, endpoints.hub).text


def is_pinned(reference: str) -> bool:
    from luci_dl.sources.huggingface.reference import COMMIT, parse

    return COMMIT.fullmatch(parse(reference).revision) is not None


def targets(reference: str) -> Iterator[str]:
    from luci_dl.sources.huggingface.reference import parse

    found = parse(reference)
    if found.path:
        yield f"{found.repo}/{found.path}"


def resolve(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    from luci_dl.sources.huggingface.resolve import resolve_reference

    return resolve_reference(word, selection, context)


def servers(endpoints: Endpoints) -> Iterator[Server]:
    page = "/api/whoami-v2" if endpoints.hub_token else "/robots.txt"
    yield Server("the Hub", endpoints.hub + page, needed=True, headers=endpoints.hub_headers)
    for base in endpoints.mirrors:
        yield Server("a mirror", f"{base}/robots.txt")
