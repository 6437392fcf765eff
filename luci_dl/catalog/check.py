"""Checks a catalog file: what is wrong with it, what it overrides, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.catalog.catalog import Catalog, read_built_in, text_of
from luci_dl.catalog.entries import examine, words_of
from luci_dl.catalog.merge import merge
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Model
from luci_dl.sources.url import refuse_unproved_http
from luci_dl.text import printable


@frozen
class Override:
    """A word that means `model` because of the file, and would mean the model `built_in` without it."""

    word: str
    model: str
    built_in: str


@frozen
class Checked:
    """The result of a check.

    Attributes:
        models: the sound ones.
        problems: a line each; no command accepts a file with problems.
        overrides: the changes to the built-in catalog.
        warnings: a line each, about what some command will refuse.
    """

    models: tuple[Model, ...]
    problems: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        return sum(len(model.artifacts) for model in self.models)

    @property
    def without_digest(self) -> tuple[str, ...]:
        """The names of the files that cannot be verified."""
        return tuple(each.name for model in self.models for each in model.artifacts if not each.provable)


def check_built_in() -> Checked:
    """Check the built-in catalog."""
    return Checked(read_built_in())


def check_file(path: Path) -> Checked:
    """Check the catalog file at `path`, combined with the built-in one. Raises: UsageError, if it is unreadable."""
    models, problems = examine(text_of(path), printable(str(path)))
    built_in = read_built_in()
    return Checked(
        models,
        problems,
        tuple(_overrides(models, Catalog.of(built_in))),
        (*_unproved(models), *_collisions(Catalog.of(built_in, models).models)),
    )


def _overrides(models: Sequence[Model], built_in: Catalog) -> Iterator[Override]:
    for model in models:
        for word in words_of(model):
            old = built_in.find(word)
            same_name = old is not None and old.reference.casefold() == model.reference.casefold()
            if old and (not same_name or word == model.reference):
                yield Override(word, model.reference, old.reference)


def _unproved(models: Sequence[Model]) -> Iterator[str]:
    for model in models:
        for artifact in model.artifacts:
            try:
                refuse_unproved_http(artifact)
            except UsageError as error:
                yield f"model {model.reference}, file {artifact.name}: {error.message}"


def _collisions(models: Sequence[Model]) -> Iterator[str]:
    try:
        merge(models)
    except UsageError as error:
        yield error.message
