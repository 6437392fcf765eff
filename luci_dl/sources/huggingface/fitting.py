"""The quantisations of a repository: how large each is, whether it fits this machine, and which fits best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from luci_dl.cancel import run_cancellable
from luci_dl.errors import Interrupted, LuciError, ResolveError
from luci_dl.events import Chosen, Warned
from luci_dl.formats.gguf import cache_in
from luci_dl.formats.kv_cache import Cache
from luci_dl.frozen import frozen
from luci_dl.machine.fit import CONTEXT, Load, Verdict, this_machine
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.hub import Listing, artifact_of, is_sound
from luci_dl.sources.huggingface.quants import bits_of, choose, label_of, models_of, projector_for, whole
from luci_dl.sources.huggingface.reference import HubReference, parse
from luci_dl.sources.selection import FileSelection
from luci_dl.text import printable

_HEADER_BYTES = 1 << 19
"""Of a model's file, to see how large its cache is: that stands before the vocabulary."""
_POOR = 3
"""Quantisations with fewer bits lose much of what the model can do."""


@frozen
class Quantisation:
    """One model of a repository.

    Attributes:
        label: "Q4_K_M" and the like; empty if its name has none.
        word: what installs it after the name of the repository: ":Q4_K_M" or "/FILE".
        files: the shards in order, then the projector.
        is_default: it is what the name of the repository alone means.
    """

    label: str
    word: str
    files: tuple[RepoFile, ...]
    fit: Load
    is_default: bool

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def fitting(
    reference: HubReference, listing: Listing, selection: FileSelection, context: ResolveContext
) -> HubReference:
    """The reference to the model that fits this machine best. Raises: ResolveError; Interrupted."""
    repo = replace(reference, quant="").text
    chosen = best(quantisations(listing, context, projector=selection.projector), repo)
    found, fit = parse(repo + chosen.word), chosen.fit
    context.emit(Chosen(reference.text, found.text, chosen.size, fit.verdict.value if fit.verdict else "", fit.numbers))
    if is_poor(chosen):
        context.emit(Warned(f"nothing above {chosen.label} fits, and with so few bits a model loses much quality"))
    return found


def quantisations(
    listing: Listing, context: ResolveContext, *, tokens: int = CONTEXT, projector: bool = True
) -> list[Quantisation]:
    """The complete models of a repository, the smallest first. All are taken to have the cache of the first.

    Args:
        tokens: that the model shall remember.
        projector: take the projector of a vision model, too.

    Raises: Interrupted.
    """
    found = run_cancellable(lambda: _whole(listing, projector=projector), context.token)
    machine = run_cancellable(this_machine, context.token)
    cache = _read_cache(listing, found[0][0], context) if found else None
    kept = None if cache is None else cache.size(tokens)
    labels = Counter(label_of(files[0].path).casefold() for files in models_of(listing.files))
    default, listed = _default(listing), []
    for files in found:
        path, label = files[0].path, label_of(files[0].path)
        word = f":{label}" if labels[label.casefold()] == 1 and label else f"/{path}"
        fit = machine.load(sum(file.size for file in files), kept, tokens)
        listed.append(Quantisation(label, word, tuple(files), fit, path == default))
    return listed


def _read_cache(listing: Listing, file: RepoFile, context: ResolveContext) -> Cache | None:
    """The cache by the header of the file on the server; None if that cannot be read. Raises: Interrupted."""
    try:
        return cache_in(context.beginning(artifact_of(listing, file, file.path, context), _HEADER_BYTES))
    except Interrupted:
        raise
    except LuciError as error:
        context.emit(Warned(f"the header of {printable(file.path)} cannot be read: {error.message}"))
        return None


def best(found: Sequence[Quantisation], what: str) -> Quantisation:
    """The largest that fits the card, else the largest that fits memory; below three bits only if no other fits.

    Raises: ResolveError, if none fits.
    """
    places: tuple[Callable[[Quantisation], bool], ...] = (
        lambda each: each.fit.verdict is Verdict.CARD,
        lambda each: each.fit.runs is True,
    )
    good = [each for each in found if not is_poor(each)]
    for group in (good, found):
        for fits in places:
            if fitting := [each for each in group if fits(each)]:
                return max(fitting, key=lambda each: each.size)
    if not found:
        raise no_gguf(what)
    least = found[0]
    named = printable(least.label or least.files[0].path)
    raise ResolveError(
        f"none of the {len(found)} models of {what} fits this machine: the smallest is {named}, {least.fit.numbers}",
        f"It can be installed all the same: luci install {printable(what.removesuffix(':fit'))}{printable(least.word)}",
    )


def no_gguf(what: str) -> ResolveError:
    """The error for a repository that has nothing to choose from."""
    return ResolveError(f"{printable(what)} has no GGUF file", "`luci install --all-files` installs all its files.")


def is_poor(quantisation: Quantisation) -> bool:
    """Whether it has so few bits that the model loses much of what it can do."""
    return 0 < bits_of(quantisation.label) < _POOR


def _whole(listing: Listing, *, projector: bool) -> list[list[RepoFile]]:
    """The files of each model that has all its shards, the smallest model first."""
    found, ggufs = (
        [],
        [file for file in listing.files if file.path.casefold().endswith(".gguf") and is_sound(file.path)],
    )
    for model in models_of(ggufs):
        try:
            shards = whole(model, ggufs)
        except ResolveError:
            continue
        beside = projector_for(shards[0], ggufs) if projector else None
        found.append([*shards, *([beside] if beside else [])])
    return sorted(found, key=lambda files: sum(file.size for file in files))


def _default(listing: Listing) -> str | None:
    """The first file of what the repository's name alone means; None if that is ambiguous."""
    try:
        return choose(listing.files, "", "")[0].path
    except ResolveError:
        return None
