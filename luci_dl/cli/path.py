"""`luci path`."""

from __future__ import annotations

import click

from luci_dl.api.info import sound_model
from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci path mistral",
        'llama-cli -m "$(luci path mistral)"',
        more="Exit codes: 3 not installed, 5 the file is missing or has changed, 6 it cannot be read.",
    )
)
@click.argument("name", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.json_answer
def command(name: str, folder: str | None, as_json: bool) -> int:
    """Print the path of an installed model, and nothing else.

    If the model has several files, it is the path of the one to load. A file whose time has changed, but not its size,
    is checked first. NAME is a name or alias from the catalog, an address as it was installed, or a file name.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        model = sound_model(name, folder, token, session.warn if as_json else emit)
        if as_json:
            session.output().results([answer("path", model)])
        else:
            session.output().paths([str(model.to_load.path)])
        return 0

    return session.run(work, json=as_json, what="Check")
