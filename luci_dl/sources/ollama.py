"""A reference to the registry of Ollama becomes a model."""

from __future__ import annotations

from luci_dl.artifact import Model
from luci_dl.errors import ResolveError
from luci_dl.sources.choice import Choice
from luci_dl.sources.web import Web
from luci_dl.text import printable


def is_reference(word: str) -> bool:
    """True when the word can only mean something in a registry."""
    return word.casefold().startswith("ollama:")


def from_reference(word: str, choice: Choice, web: Web) -> Model:
    """The files that the word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""
    raise ResolveError(
        f"{printable(word)}: luci does not know this kind of reference yet", "Give the https:// address."
    )
