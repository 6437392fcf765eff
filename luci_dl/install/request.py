"""From the arguments of an install to models, and to the folders where they go."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.config.settings import Settings
from luci_dl.events import Emit
from luci_dl.frozen import frozen
from luci_dl.install.batch import Outcome, install_models
from luci_dl.install.context import InstallContext
from luci_dl.install.placement import Placement
from luci_dl.install.servers import install_context, resolve_words
from luci_dl.model import Model
from luci_dl.plan import Options, Plan
from luci_dl.sources.selection import FileSelection


@frozen
class InstallRequest:
    """Models, and all that it takes to place, fetch and install them."""

    models: Sequence[Model]
    context: InstallContext
    placement: Placement

    @classmethod
    def resolve(
        cls,
        words: Sequence[str],
        settings: Settings,
        selection: FileSelection,
        options: Options,
        token: CancelToken,
        emit: Emit,
        *,
        named_folder: bool,
        log: Emit | None = None,
    ) -> InstallRequest:
        """The request that the words stand for.

        Args:
            named_folder: the user named the models folder, so the backup folder is not used.
            log: gets an event for each request.

        Raises: ResolveError; UsageError; NetworkError; StorageError; Interrupted.
        """
        context = install_context(settings, options, token, emit, log)
        models = resolve_words(words, settings, selection, context)
        backup = None if named_folder else settings.backup_models_dir
        return cls(models, context, Placement(settings.models_dir, backup, context))

    def plans(self) -> list[Plan]:
        """Where each model goes. Raises: StorageError, if there is not enough room; Interrupted."""
        return run_cancellable(lambda: self.placement.plans(self.models), self.context.token)

    def install(self, plans: Sequence[Plan]) -> list[Outcome]:
        """Install the models as planned. Returns: one outcome for each plan, in the same order."""
        return install_models(plans, self.context)

    def forecast(self) -> int:
        """Emit what an install would do. Returns: the exit code that it would have. Raises: Interrupted."""
        from luci_dl.install.dry_run import dry_run  # rarely used

        return dry_run([plan for plan, _ in self.placement.tried(self.models)], self.context)
