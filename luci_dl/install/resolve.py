"""The words of the command line become models, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from luci_dl.catalog.catalog import Catalog
from luci_dl.catalog.merge import may_have, merge
from luci_dl.errors import ResolveError, UsageError
from luci_dl.model import Model
from luci_dl.names import check_digest, check_name
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.selection import FileSelection
from luci_dl.sources.url import from_address, refuse_unproved_http
from luci_dl.text import nearest, printable

_BARE_GROUPS = ("all", "core")


@dataclass(frozen=True)
class _Phrase:
    """A word, and whether `models` follows it."""

    word: str
    is_group: bool


def resolve(
    words: Sequence[str], catalog: Catalog, choice: FileSelection | None = None, web: ResolveContext | None = None
) -> list[Model]:
    """The models that the words stand for, each once, merged by target. What needs no server is looked up first.

    Raises: ResolveError, which tells of all words that lead nowhere; UsageError; NetworkError; Interrupted.
    """
    choice, web = choice or FileSelection(), web or ResolveContext()
    phrases = _phrases(words)
    _check_options(phrases, choice, web)
    if choice.output is not None:
        choice = replace(choice, output=_check_output(choice.output))
    found = _look_up_all(phrases, catalog, choice, web)
    if not choice.projector:
        found = [_without_projector(model) for model in found]
    if choice.output is not None or choice.sha256 is not None:
        found = [_with_options(found, choice.output, choice.sha256)]
    models = merge([web.endpoints.spread(model) for model in found])
    if not choice.unverified:
        for model in models:
            for artifact in model.artifacts:
                refuse_unproved_http(artifact)
    return models


def _phrases(words: Sequence[str]) -> list[_Phrase]:
    phrases: list[_Phrase] = []
    for word in words:
        if not word.strip():
            raise UsageError("one of the words is empty", "Check the quotes around it.")
        if word.casefold() != "models":
            phrases.append(_Phrase(word, is_group=False))
        elif phrases and not phrases[-1].is_group and "://" not in phrases[-1].word:
            phrases[-1] = _Phrase(phrases[-1].word, is_group=True)
        else:
            raise UsageError("`models` must follow the name of a group", "For example: luci install core models")
    if not phrases:
        raise UsageError("no model is named", "For example: luci install mistral. `luci list --available` shows all.")
    return phrases


def _check_options(phrases: Sequence[_Phrase], choice: FileSelection, web: ResolveContext) -> None:
    """Raises: UsageError, for an option that does not go with every word."""
    for phrase in phrases:
        if choice.of_repository and not _is_on_the_hub(phrase, web):
            raise UsageError(
                f"--all-files, --include and --exclude go with Hub repositories, and {printable(phrase.word)} is none",
                "Install it apart.",
            )
    if choice.headers and not any("://" in phrase.word and not _needs_server(phrase, web) for phrase in phrases):
        raise UsageError("--header goes with plain addresses, and none is named", "The Hub is told HF_TOKEN.")


def _is_on_the_hub(phrase: _Phrase, web: ResolveContext) -> bool:
    if phrase.is_group or _is_plain(phrase.word):
        return False
    from luci_dl.sources.huggingface.reference import is_reference

    return is_reference(phrase.word, web.endpoints.hub)


def _is_in_a_registry(phrase: _Phrase) -> bool:
    if phrase.is_group or _is_plain(phrase.word):
        return False
    from luci_dl.sources.ollama.name import is_name

    return is_name(phrase.word)


def _is_plain(word: str) -> bool:
    """True for what can only be in the catalog: then nothing of the servers need be loaded."""
    return ":" not in word and "/" not in word


def _look_up_all(phrases: list[_Phrase], catalog: Catalog, choice: FileSelection, web: ResolveContext) -> list[Model]:
    """In the order of the phrases; no server is asked as long as a word is misspelt."""
    found: dict[_Phrase, tuple[Model, ...]] = {}
    lost: list[ResolveError] = []
    for ask_servers in (False, True):
        for phrase in dict.fromkeys(phrases):
            if _needs_server(phrase, web) is ask_servers:
                try:
                    found[phrase] = _look_up(phrase, catalog, choice, web)
                except ResolveError as error:
                    lost.append(error)
        if lost:
            messages = dict.fromkeys(error.message for error in lost)
            hints = dict.fromkeys(error.hint for error in lost if error.hint)
            raise ResolveError("\n".join(messages), "\n".join(hints))
    return [model for phrase in phrases for model in found[phrase]]


def _needs_server(phrase: _Phrase, web: ResolveContext) -> bool:
    return _is_on_the_hub(phrase, web) or _is_in_a_registry(phrase)


def _look_up(phrase: _Phrase, catalog: Catalog, choice: FileSelection, web: ResolveContext) -> tuple[Model, ...]:
    word = phrase.word
    if phrase.is_group or word.casefold() in _BARE_GROUPS:
        members = catalog.group(word)
        if members is None:
            raise _no_group(word, catalog)
        return members
    if _is_on_the_hub(phrase, web):
        from luci_dl.sources.huggingface import source as huggingface

        return (huggingface.from_reference(word, choice, web),)
    if _is_in_a_registry(phrase):
        from luci_dl.sources.ollama import source as ollama

        return (ollama.from_reference(word, choice, web),)
    if "://" in word:
        return (from_address(word, choice.output, choice.headers),)
    model = catalog.find(word)
    if model is None:
        raise _no_model(word, catalog)
    return (model,)


def _no_group(word: str, catalog: Catalog) -> ResolveError:
    if catalog.find(word):
        return ResolveError(f"{word} is a model, not a group", "Leave out the word `models`.")
    near = [f"`{group} models`" for group in nearest(word, catalog.groups, 3)]
    message = f'there is no group "{printable(word)}"' + _did_you_mean(near)
    return ResolveError(message, f"The groups: {', '.join(catalog.groups)}.")


def _no_model(word: str, catalog: Catalog) -> ResolveError:
    shown = printable(word)
    if catalog.group(word):
        return ResolveError(
            f"{word} is a group" + _did_you_mean([f"`{word} models`"]), "A group needs `models` behind."
        )
    near = [*catalog.suggest(word), *(f"`{group} models`" for group in nearest(word, catalog.groups, 1))]
    return ResolveError(f'there is no model "{shown}"' + _did_you_mean(near), "`luci list --available` shows all.")


def _did_you_mean(near: Sequence[str]) -> str:
    return f"; did you mean {', '.join(near)}?" if near else ""


def _without_projector(model: Model) -> Model:
    """The model alone, unless the projector is all that was asked for."""
    rest = tuple(artifact for artifact in model.artifacts if artifact.role != "projector")
    return replace(model, artifacts=rest or model.artifacts)


def _check_output(output: str) -> str:
    if "/" in output:
        raise UsageError(f'-o takes a file name without folders, found "{printable(output)}"', "--dir says the folder.")
    return check_name(output)


def _with_options(found: Sequence[Model], output: str | None, sha256: str | None) -> Model:
    """The one file that was asked for, with the name and the digest that the options give."""
    if len(found) != 1 or len(found[0].artifacts) != 1:
        raise UsageError("-o and --sha256 go with one reference to a single file", "Install the others apart.")
    model, artifact = found[0], found[0].artifacts[0]
    if sha256 is not None:
        sha256 = check_digest(sha256, 64, "--sha256")
        if not may_have(artifact, sha256):
            raise UsageError(
                f"--sha256 says {sha256[:12]}..., but {model.reference} is known to be another file"
                + (f": {artifact.sha256[:12]}..." if artifact.sha256 else ""),
                "Leave out --sha256, or give the address of the file that you mean.",
            )
        artifact = replace(artifact, sha256=sha256)
    return replace(model, artifacts=(artifact if output is None else replace(artifact, name=output),))
