"""`luci path`."""

from __future__ import annotations

import json

import click

from luci_dl.api.info import sound_model
from luci_dl.cli import complete, json_shapes, session
from luci_dl.errors import LuciError

EPILOG = """\b
Examples:
  luci path mistral
  llama-cli -m "$(luci path mistral)"

\b
With --json: one object, as `luci list --json` tells of the model.
Exit codes: 3 not installed, 5 the file is missing or has changed.
"""


@click.command(epilog=EPILOG)
@click.argument("name", shell_complete=complete.installed)
@session.dir_option("Look into this models folder alone.")
@click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")
def command(name: str, folder: str | None, as_json: bool) -> int:
    """Print the path of the installed file, and nothing else; of a model of several files the one to load.

    NAME is a name or alias of the catalog, an address as it was installed, or the file's own name.
    """
    try:
        session.settings_for(folder)
        model = sound_model(name, folder)
    except LuciError as error:
        return session.report(error, json=as_json)
    if as_json:
        session.output().results([json.dumps(json_shapes.installed_facts(model))])
    else:
        session.output().paths([str(model.to_load.path)])
    return 0
