"""Files that may run code when a program loads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from luci_dl.errors import ResolveError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact, Model
from luci_dl.text import printable

_MAX_SHOWN = 10


def warn_of_pickles(models: Sequence[Model], emit: Emit) -> None:
    """Warn once of all files that may run code, by their names."""
    if pickles := [artifact for model in models for artifact in model.artifacts if _may_run_code(artifact)]:
        emit(Warned(f"these files may run code when loaded (--safe-only leaves them out): {_named(pickles)}"))


def without_pickles(models: Sequence[Model], emit: Emit) -> list[Model]:
    """The models without the files that may run code. Raises: ResolveError, if nothing is left of one."""
    left_out: list[Artifact] = []
    kept: list[Model] = []
    for model in models:
        pickles = [artifact for artifact in model.artifacts if _may_run_code(artifact)]
        rest = tuple(artifact for artifact in model.artifacts if artifact not in pickles)
        if not rest:
            raise ResolveError(
                f"--safe-only leaves nothing of {model.reference}: all of it may run code when loaded",
                "If you trust its origin, install it without --safe-only.",
            )
        left_out += pickles
        kept.append(replace(model, artifacts=rest))
    if left_out:
        emit(Warned(f"these files may run code when loaded, and --safe-only leaves them out: {_named(left_out)}"))
    return kept


def _may_run_code(artifact: Artifact) -> bool:
    """By its name, and by those at its addresses, unless its bytes are checked to be of a safe format."""
    from luci_dl.formats.table import format_of  # with the parsers of all formats

    named = format_of(artifact.name)
    paths = () if named.check else (unquote(urlsplit(url).path) for url in artifact.urls)
    return named.may_run_code or any(format_of(path).may_run_code for path in paths)


def _named(artifacts: Sequence[Artifact]) -> str:
    names = [printable(artifact.name) for artifact in artifacts[:_MAX_SHOWN]]
    more = [f"and {len(artifacts) - _MAX_SHOWN} more"] if len(artifacts) > _MAX_SHOWN else []
    return ", ".join([*names, *more])
