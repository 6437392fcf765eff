"""Completions of a word on the command line. Errors give none: the commands report them, the TAB key does not."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import click
from click.shell_completion import CompletionItem

from luci_dl.errors import StorageError
from luci_dl.text import human_size, printable

Item = CompletionItem[str]
Completer = Callable[[click.Context, click.Parameter, str], list[Item]]
Source = Callable[[click.Context], Iterable[Item]]


def _completer(source: Source) -> Completer:
    """Offers the source's words that begin like the typed one, ignoring case, and are not on the line yet."""

    @functools.wraps(source)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
        typed = ctx.params.get(param.name or "") or ()
        begin = incomplete.casefold()
        try:
            items = {item.value: item for item in source(ctx) if item.value.casefold().startswith(begin)}
        except Exception:  # noqa: BLE001 - a broken catalog, say
            return []
        return [item for value, item in items.items() if value not in typed and value == printable(value)]

    return complete


def _installed(ctx: click.Context) -> Iterator[Item]:
    """The installed models, by their names in the catalog, or else by their files."""
    from luci_dl.api.catalog import load
    from luci_dl.api.config import settings
    from luci_dl.api.list import InstalledModel, installed

    folder = ctx.params.get("folder")
    known, models = load(settings(folder).catalog), list[InstalledModel]()
    with contextlib.suppress(StorageError):  # the names of the catalog do not depend on it
        models = installed(folder)
    for model in models:
        name = model.reference if known.find(model.reference) else model.to_load.receipt.name.rpartition("/")[2]
        yield CompletionItem(name, help=human_size(model.size))


def _known(ctx: click.Context) -> Iterator[Item]:
    """The models of the catalog, each by its name and then by its aliases."""
    from luci_dl.api.catalog import load
    from luci_dl.api.config import settings

    for model in load(settings(ctx.params.get("folder")).catalog).models:
        size = "" if model.size is None else human_size(model.size)
        yield CompletionItem(model.reference, help=size)
        for alias in model.aliases:
            yield CompletionItem(alias, help=f"{model.reference}, {size}" if size else model.reference)


def _to_install(ctx: click.Context) -> Iterator[Item]:
    """Models and groups; after the name of a group, the word `models`."""
    from luci_dl.api.catalog import load
    from luci_dl.api.config import settings

    groups = load(settings().catalog).groups
    words: Sequence[str] = ctx.params.get("words") or ()
    if words and words[-1].casefold() in groups:
        yield CompletionItem("models", help=f"the {words[-1]} models")
    yield from _known(ctx)
    for group in groups:
        yield CompletionItem(group, help="a group of models")


def _known_or_installed(ctx: click.Context) -> Iterator[Item]:
    yield from _installed(ctx)
    yield from _known(ctx)


def _settings(_ctx: click.Context) -> Iterator[Item]:
    from luci_dl.api.config import KEYS

    for key in KEYS.values():
        yield CompletionItem(key.name, help=key.purpose)


def _help_words(ctx: click.Context) -> Iterator[Item]:
    """The commands and the topics."""
    from luci_dl.cli.topics import TOPICS

    group = ctx.find_root().command
    if isinstance(group, click.Group):
        yield from map(CompletionItem, group.list_commands(ctx))
    for topic, summary in TOPICS.items():
        yield CompletionItem(topic, help=summary)


def _link_targets(_ctx: click.Context) -> Iterator[Item]:
    from luci_dl.api.link import NAMES

    yield from map(CompletionItem, NAMES)


def _ways_to_link(_ctx: click.Context) -> Iterator[Item]:
    from luci_dl.api.link import HOW

    yield from map(CompletionItem, HOW)


link_targets = _completer(_link_targets)
ways_to_link = _completer(_ways_to_link)
installed = _completer(_installed)
known = _completer(_known)
to_install = _completer(_to_install)
known_or_installed = _completer(_known_or_installed)
settings = _completer(_settings)
help_words = _completer(_help_words)


def folders(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Item]:
    """The shell completes folders itself."""
    return [CompletionItem(incomplete, type="dir")]


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Item]:
    """The shell completes files and folders itself."""
    return [CompletionItem(incomplete, type="file")]


def setting_values(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Item]:
    """What the setting may be."""
    from luci_dl.api.config import KEYS

    key = KEYS.get(ctx.params.get("name") or "")
    if key is None:
        return []
    if key.kind.path:
        return [CompletionItem(incomplete, type=key.kind.path)]
    return [CompletionItem(word) for word in key.kind.words if word.startswith(incomplete)]
