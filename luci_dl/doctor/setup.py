"""Checks what the user configured: config.json and the catalog."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.catalog import catalog
from luci_dl.config.file import read_config
from luci_dl.config.settings import Settings, unknown_keys
from luci_dl.doctor.findings import ok, warning
from luci_dl.events import Finding
from luci_dl.text import counted, did_you_mean, printable


def check_config(settings: Settings) -> Iterator[Finding]:
    """config.json can be read and has no unknown keys, which may be misspelt ones."""
    config = read_config(settings.file)
    where = printable(str(settings.file))
    for name, near in unknown_keys(config).items():
        hint = "It has no effect. `luci config list` shows the settings."
        yield warning("config", f'{where} has an unknown key "{printable(name)}"{did_you_mean(near)}', hint)
    if config.values:
        yield ok("config", f"{where}: {counted(len(config.values), 'setting')}")
    else:
        yield ok("config", "no config.json: every setting has its default")


def check_catalog(settings: Settings) -> Iterator[Finding]:
    """The user's own catalog can be read."""
    models = catalog.load(settings.catalog).models
    own = f", including those of {printable(str(settings.catalog))}" if settings.catalog else ""
    yield ok("catalog", f"{counted(len(models), 'model')}{own}")
