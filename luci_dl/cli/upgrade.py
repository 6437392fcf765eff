"""`luci upgrade`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import counted, human_size

if TYPE_CHECKING:
    from luci_dl.api.upgrade import Upgrade


@click.command(
    epilog=options.examples(
        "luci upgrade mistral",
        "luci upgrade --all",
        "luci upgrade --all --dry-run",
        more="Exit codes: 2 not confirmed, 3 not installed, gone, or cannot tell, 4 network, 5 wrong bytes, 6 disk, "
        "7 locked by another luci.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@options.flag("-a", "--all", "everything", help="Upgrade every installed model that is outdated.")
@options.folder("Look into this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be done, and whether it would work.")
@options.flag("-y", "--yes", help="Do not ask before upgrading all models.")
@options.no_lan
@options.json_events
@options.quiet
def command(
    names: tuple[str, ...],
    everything: bool,
    folder: str | None,
    dry_run: bool,
    yes: bool,
    no_lan: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Replace outdated models by their new versions: all files of a model, or none.

    Each model is asked for again with the options of its install, and replaced in its folder if the digests differ;
    until then the old files stay. Old files that the new version does not have are removed, unless another model needs
    them. The models are linked as the setting `links` says. `luci outdated` shows which models that would be.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.config import settings
        from luci_dl.api.upgrade import exit_code, plan_upgrade

        if bool(names) == everything:
            what = "--all upgrades every model, so it takes no names" if names else "no model given"
            raise UsageError(what, "Name models, or give --all; `luci outdated` shows which have newer versions.")
        how = settings(folder).options
        plan = plan_upgrade(names, folder, replace(how, lan=()) if no_lan else how, token, emit)
        if dry_run:
            return plan.forecast()
        if everything and plan.outdated and not yes:
            _confirm(plan, token)
        code = exit_code(plan.run())
        return next((error.exit_code for error in plan.errors), code)

    return session.run(work, json=as_json, quiet=quiet, what="Upgrade")


def _confirm(plan: Upgrade, token: CancelToken) -> None:
    """Raises: UsageError, unless the user confirms; Interrupted."""
    at_least = "at least " if plan.at_least else ""
    what = f"{counted(plan.outdated, 'model')}, {at_least}{human_size(plan.fetch)}"
    if not session.confirmed(f"Upgrade {what}?", f"to upgrade {what}", token):
        raise UsageError("nothing was upgraded", "Name the models that you want.")
