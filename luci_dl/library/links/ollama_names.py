"""What Ollama calls an installed model. Source: its `types/model`."""

from __future__ import annotations

from luci_dl.errors import ResolveError, UsageError
from luci_dl.library.links.base import Question
from luci_dl.library.links.folders import plain_name
from luci_dl.library.links.ollama_manifest import header_of
from luci_dl.library.links.ollama_paths import shown
from luci_dl.sources.huggingface.quants import label_of
from luci_dl.sources.ollama.name import Name, is_name, parse_name

_HUB = "hf.co"
_LONGEST = 80


def name_of(question: Question) -> Name:
    """What Ollama calls the model. Raises: UsageError, for a name that it does not take; ResolveError; StorageError."""
    try:
        name = parse_name(_reference(question))
    except ResolveError as error:
        raise UsageError(f"--as: {error.message}" if question.given else error.message, error.hint) from error
    if "." in name.namespace or max(map(len, (name.namespace, name.model, name.tag))) > _LONGEST:
        raise UsageError(
            f"Ollama takes no name like {shown(name)}",
            f"Each part has at most {_LONGEST} characters, and the first of two no dot. Choose another: --as NAME:TAG",
        )
    return name


def _reference(question: Question) -> str:
    if question.given:
        return f"ollama:{question.given}"
    if is_name(question.name):
        return question.name
    first = question.model.to_load
    if place := (question.hub or {}).get(first.receipt.name):
        tag = label_of(place.path).upper() or header_of(first.path).file_type or "latest"
        return f"ollama:{_HUB}/{place.repo}:{tag}"
    return f"ollama:{plain_name(question.name)}:latest"
