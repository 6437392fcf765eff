"""What is to be installed: from words to models, with all that it takes to fetch and to place them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.config.settings import Settings
from luci_dl.events import Emit
from luci_dl.install.batch import Outcome, install_models
from luci_dl.install.local_copies import Copies
from luci_dl.install.placement import Placement
from luci_dl.install.servers import copies_for, network_for, resolve_words
from luci_dl.model import Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from luci_dl.sources.selection import FileSelection


@dataclass(frozen=True)
class InstallRequest:
    """Models, and by what they are installed. Made by `take_order`."""

    models: Sequence[Model]
    options: Options
    network: Network
    copies: Copies
    placement: Placement

    def plans(self, token: CancelToken) -> list[Plan]:
        """Where each model goes. Raises: StorageError, when there is no room; Interrupted."""
        return run_cancellable(lambda: self.placement.plans(self.models), token)

    def install(self, plans: Sequence[Plan], token: CancelToken, emit: Emit) -> list[Outcome]:
        """One outcome for each plan, in their order."""
        return install_models(plans, self.options, token, emit, self.network, self.copies)

    def forecast(self, token: CancelToken, emit: Emit) -> int:
        """Tell what an install would do. Returns: the exit code that it would have. Raises: Interrupted."""
        from luci_dl.install.dry_run import dry_run  # seldom asked for

        plans = [plan for plan, _ in self.placement.tried(self.models)]
        return dry_run(plans, self.options, self.network, self.copies, token, emit)


def take_order(
    words: Sequence[str],
    settings: Settings,
    choice: FileSelection,
    options: Options,
    token: CancelToken,
    emit: Emit,
    *,
    named_folder: bool,
    log: Emit | None = None,
) -> InstallRequest:
    """Resolve the words.

    Args:
        named_folder: the user named the models folder, so no other one takes what it cannot hold.
        log: told of each request.

    Raises: ResolveError; UsageError; NetworkError; StorageError; Interrupted.
    """
    copies = copies_for(os.environ, settings, options, emit)
    network = network_for(os.environ, options, log)
    models = resolve_words(words, settings, choice, options, network, token, emit)
    backup = None if named_folder else settings.backup_models_dir
    return InstallRequest(
        models, options, network, copies, Placement(settings.models_dir, backup, options, copies, emit)
    )
