"""`luci upgrade`."""

from __future__ import annotations

from dataclasses import replace

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import counted, human_size


@click.command(
    epilog=options.examples(
        "luci upgrade mistral",
        "luci upgrade --all --dry-run",
        more="Exit codes: 2 usage, 3 gone or cannot be compared, 4 network, 5 wrong bytes, 6 disk, 7 locked.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@options.flag("-a", "--all", "everything", help="Upgrade all installed models.")
@options.folder("Look into this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be done, and whether it would work.")
@options.flag("-y", "--yes", help="Do not ask before upgrading all models.")
@options.json_events
@options.quiet
def command(
    names: tuple[str, ...],
    everything: bool,
    folder: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Install models again that are no longer what their references name.

    All files of a model are replaced or none; the old ones stay until the new ones are complete and verified. A model
    whose reference names a commit or a digest stays as it is. `luci outdated` shows what would be upgraded.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.config import settings
        from luci_dl.api.upgrade import exit_code, look, plans_of, upgrade_all

        if bool(names) == everything:
            raise UsageError("give the models to upgrade, or --all", "`luci outdated` shows which are out of date.")
        asking = replace(settings(folder).options, upgrade=True)
        found, context = look(names, folder, asking, token, emit)
        plans = plans_of(found)
        if dry_run:
            from luci_dl.api.upgrade import forecast

            return forecast(plans, context)
        if everything and plans and not yes:
            fetch = human_size(sum(each.fetch for each in found))
            what = f"{counted(len(plans), 'model')}, {fetch}"
            if not session.confirmed(f"Upgrade {what}?", f"to upgrade {what}", token):
                raise UsageError("nothing was upgraded", "Name the models that you want.")
        outcomes, error = upgrade_all(found, context, named=bool(names))
        return exit_code(outcomes) or (error.exit_code if error else 0)

    return session.run(work, json=as_json, quiet=quiet)
