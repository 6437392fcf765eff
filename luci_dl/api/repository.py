"""What a repository of the Hub has: its quantisations, for `luci info`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.events import Emit
from luci_dl.frozen import frozen
from luci_dl.install.servers import network_for
from luci_dl.library.installed import InstalledModel
from luci_dl.machine.fit import Load
from luci_dl.sources.base import source_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import endpoints_of
from luci_dl.sources.huggingface import source as huggingface
from luci_dl.sources.huggingface.fitting import no_gguf, quantisations
from luci_dl.sources.huggingface.hub import list_files
from luci_dl.sources.huggingface.reference import parse

__all__ = ["Quantisation", "no_gguf", "quantisations_of"]


@frozen
class Quantisation:
    """One model of a repository.

    Attributes:
        label: like "Q4_K_M"; empty if its name has none.
        reference: what `luci install` takes.
        files: in the repository: the shards in order, then the projector.
        is_default: it is what the repository's name alone means.
    """

    label: str
    reference: str
    files: tuple[str, ...]
    size: int
    is_default: bool
    installed: bool
    fit: Load


def quantisations_of(
    word: str, settings: Settings, here: Sequence[InstalledModel], context: int, token: CancelToken, emit: Emit
) -> tuple[Quantisation, ...] | None:
    """The models of the repository that the word names, the smallest first; None if it names anything else.

    Args:
        here: the installed models.
        context: tokens that a model shall remember.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """
    endpoints = endpoints_of(os.environ, settings.mirrors, settings.http_hosts, settings.lan)
    if source_of(word, endpoints) is not huggingface:
        return None
    reference, options = parse(word, endpoints.hub), settings.options
    if reference.path or reference.quant.casefold() not in ("", "fit"):
        return None
    asking = ResolveContext(network_for(options), endpoints, token, emit, options.retries)
    listing = list_files(asking, reference.repo, reference.revision)
    names = {name for model in here if model.state != "missing" for name in model.names}
    repo = replace(reference, repo=listing.repo, quant="").text
    return tuple(
        Quantisation(
            each.label,
            repo + each.word,
            tuple(file.path for file in each.files),
            each.size,
            each.is_default,
            all(f"{listing.repo}/{file.path}" in names for file in each.files),
            each.fit,
        )
        for each in quantisations(listing, asking, tokens=context)
    )
