"""`luci push`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci push llama3.2 s3://models/lab",
        "luci install s3://models/lab/llama3.2",
        "luci push mistral phi-3 s3://models --dry-run",
        more="Exit codes: 3 not installed, no such bucket, or access denied, 4 network, 5 has changed or another model "
        "is there.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@click.argument("to", metavar="s3://BUCKET/PREFIX", required=False, default="")
@options.folder("Push from this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be pushed.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], to: str, folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Send installed models to a bucket of S3, or of a store that is compatible with it.

    Each goes to s3://BUCKET/PREFIX/NAME, by the name that `luci list` shows (hf:OWNER/REPO becomes hf-OWNER/REPO): its
    files, and finally a manifest with their digests, so that `luci install s3://BUCKET/PREFIX/NAME` verifies them. What
    is there already is not sent again. The bucket must exist. It takes the extra `s3`: pip install 'luci-dl[s3]'. For
    credentials, region and other stores than Amazon's, see `luci help environment`.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.push import push_all

        if not names or not to.strip():
            raise UsageError("give the models, and the bucket last", "For example: luci push mistral s3://models/lab")
        error = push_all(names, to, folder, token, emit, dry_run=dry_run)
        return error.exit_code if error else 0

    return session.run(work, json=as_json, quiet=quiet, what="Push")
