"""The words of the command line become models, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from luci_dl.catalog.catalog import Catalog
from luci_dl.catalog.merge import merge
from luci_dl.errors import NotFound, ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.install.pickles import warn_of_pickles, without_pickles
from luci_dl.model import Model
from luci_dl.names import check_digest, check_name
from luci_dl.sources.base import Source, source_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.selection import FileSelection
from luci_dl.sources.url import refuse_unproved_http
from luci_dl.text import did_you_mean, nearest, printable

_BARE_GROUPS = ("all", "core", "everything")
_DIGEST = re.compile(r"#sha256=([0-9a-f]{64})$", re.IGNORECASE)


@frozen
class _Phrase:
    """A word, its source if it is a reference, and whether `models` follows it."""

    word: str
    source: Source | None
    is_group: bool = False


def resolve(
    words: Sequence[str],
    catalog: Catalog,
    selection: FileSelection | None = None,
    context: ResolveContext | None = None,
) -> list[Model]:
    """The models that the words mean, each once, merged by target. No server is asked while a word is misspelt.

    Raises: ResolveError, which names all words that mean nothing; UsageError; NetworkError; Interrupted.
    """
    selection, context = selection or FileSelection(), context or ResolveContext()
    context = replace(context, may_be_tampered=selection.unverified or selection.sha256 is not None)
    phrases = _phrases(words, context.endpoints)
    _check_options(phrases, selection)
    if selection.output is not None:
        selection = replace(selection, output=_check_output(selection.output))
    found = _look_up_all(phrases, catalog, selection, context)
    if not selection.projector:
        found = [_without_projector(model) for model in found]
    if selection.output is not None or selection.sha256 is not None:
        found = [_with_options(found, selection.output, selection.sha256)]
    found = without_pickles(found, context.emit) if selection.safe_only else found
    models = merge(
        [replace(context.endpoints.with_mirrors(model), asked={**model.asked, **selection.asked}) for model in found]
    )
    if selection.by_pattern:
        warn_of_pickles(models, context.emit)
    if not selection.unverified:
        for model in models:
            for artifact in model.artifacts:
                refuse_unproved_http(artifact, context.endpoints.http_hosts)
    return models


def _phrases(words: Sequence[str], endpoints: Endpoints) -> list[_Phrase]:
    phrases: list[_Phrase] = []
    for word in words:
        if not word.strip():
            raise UsageError("one of the words is empty", "Check the quotes around it.")
        if word.casefold() != "models":
            phrases.append(_Phrase(word, source_of(word, endpoints)))
        elif phrases and not phrases[-1].is_group and phrases[-1].source is None:
            phrases[-1] = replace(phrases[-1], is_group=True)
        else:
            raise UsageError("`models` must follow the name of a group", "For example: luci install core models")
    if not phrases:
        raise UsageError("no model given", "For example: luci install mistral. `luci list --available` shows all.")
    return phrases


def _check_options(phrases: Sequence[_Phrase], selection: FileSelection) -> None:
    """Raises: UsageError, for an option that does not apply to the words."""
    for phrase in phrases:
        if selection.by_pattern and not (phrase.source and phrase.source.TAKES_PATTERNS):
            raise UsageError(
                f"--all-files, --include and --exclude apply to repositories, and {printable(phrase.word)} is not one",
                "Install it separately.",
            )
    if selection.headers and not any(phrase.source and phrase.source.TAKES_HEADERS for phrase in phrases):
        raise UsageError("--header applies to plain addresses, and none is named", "For the Hub, set HF_TOKEN.")


def _look_up_all(
    phrases: Sequence[_Phrase], catalog: Catalog, selection: FileSelection, context: ResolveContext
) -> list[Model]:
    """In the order of the phrases. References, which may need a server, come after all words have been checked."""
    found: dict[_Phrase, tuple[Model, ...]] = {}
    for of_references in (False, True):
        errors: list[ResolveError] = []
        for phrase in dict.fromkeys(phrases):
            try:
                if phrase.source and not of_references:
                    phrase.source.canonical(phrase.word, context.endpoints)
                elif phrase not in found:
                    found[phrase] = _look_up(phrase, catalog, selection, context)
            except ResolveError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            messages = dict.fromkeys(error.message for error in errors)
            hints = dict.fromkeys(error.hint for error in errors if error.hint)
            raise ResolveError("\n".join(messages), "\n".join(hints))
    return [model for phrase in phrases for model in found[phrase]]


def _look_up(phrase: _Phrase, catalog: Catalog, selection: FileSelection, context: ResolveContext) -> tuple[Model, ...]:
    word = phrase.word
    if phrase.source:
        found, pin = phrase.source.resolve(word, selection, context), _DIGEST.search(word)
        return (replace(found, asked={**found.asked, "sha256": pin[1].lower()}) if pin else found,)
    if phrase.is_group or word.casefold() in _BARE_GROUPS:
        members = catalog.group(word)
        if members is None:
            raise _no_group(word, catalog)
        return members
    model = catalog.find(word)
    if model is None:
        raise _no_model(word, catalog)
    return (model,)


def _no_group(word: str, catalog: Catalog) -> ResolveError:
    if catalog.find(word):
        return ResolveError(f"{word} is a model, not a group", "Leave out the word `models`.")
    near = [f"`{group} models`" for group in nearest(word, catalog.groups, 3)]
    message = f'there is no group "{printable(word)}"' + did_you_mean(*near)
    return ResolveError(message, f"The groups are {', '.join(catalog.groups)}.")


def _no_model(word: str, catalog: Catalog) -> ResolveError:
    if catalog.group(word):
        message = f"{word} is a group" + did_you_mean(f"`{word} models`")
        return ResolveError(message, "The word `models` must follow a group.")
    near = [*catalog.suggest(word), *(f"`{group} models`" for group in nearest(word, catalog.groups, 1))]
    message = f'there is no model "{printable(word)}"' + did_you_mean(*near)
    return NotFound(message, "`luci list --available` shows all.")


def _without_projector(model: Model) -> Model:
    """The model alone, unless it consists of nothing but a projector."""
    rest = tuple(artifact for artifact in model.artifacts if artifact.role != "projector")
    return replace(model, artifacts=rest or model.artifacts)


def _check_output(output: str) -> str:
    if "/" in output:
        message = f'-o takes a file name without folders, found "{printable(output)}"'
        raise UsageError(message, "Use --dir to choose the folder.")
    return check_name(output)


def _with_options(found: Sequence[Model], output: str | None, sha256: str | None) -> Model:
    """The single file with the name and the digest that the options give."""
    if len(found) != 1 or len(found[0].artifacts) != 1:
        raise UsageError("-o and --sha256 apply to one reference to a single file", "Install the others separately.")
    model, artifact = found[0], found[0].artifacts[0]
    if sha256 is not None:
        sha256 = check_digest(sha256, 64, "--sha256")
        if not artifact.may_be(sha256):
            raise UsageError(
                f"--sha256 is {sha256[:12]}..., but {model.reference} is known to be another file"
                + (f": {artifact.sha256[:12]}..." if artifact.sha256 else ""),
                "Leave out --sha256, or give the address of the file that you mean.",
            )
        artifact = replace(artifact, sha256=sha256)
    return replace(model, artifacts=(artifact if output is None else replace(artifact, name=output),))
