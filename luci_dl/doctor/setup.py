"""What the user has written: config.json, the catalog."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.catalog import catalog
from luci_dl.config.file import read_config
from luci_dl.config.settings import Settings, unknown_keys
from luci_dl.doctor.examine import doubt, fine
from luci_dl.events import Finding
from luci_dl.text import printable


def check_config(settings: Settings) -> Iterator[Finding]:
    """Keys that luci does not know, which may be misspelt ones."""
    config = read_config(settings.file)
    where = printable(str(settings.file))
    for name, near in unknown_keys(config).items():
        guess = f"; did you mean {near}?" if near else ""
        hint = "It has no effect. `luci config list` shows the settings."
        yield doubt("config", f'{where} has a key "{printable(name)}" that luci does not know{guess}', hint)
    if config.values:
        yield fine("config", f"{where}: {len(config.values)} settings" if len(config.values) > 1 else f"{where}")
    else:
        yield fine("config", "no config.json: every setting is the default")


def check_catalog(settings: Settings) -> Iterator[Finding]:
    """The user's own models can be read."""
    known = catalog.load(settings.catalog)
    own = f", with your own of {printable(str(settings.catalog))}" if settings.catalog else ""
    yield fine("catalog", f"{len(known.models)} models{own}")
