"""luci: a transactional download manager for large model files.

A file stands at its final path only if it is complete, its SHA-256 is right and it is safely on disk.

    import luci_dl

    paths = luci_dl.install("llama3.2")          # names, groups, addresses, as on the command line
    luci_dl.path("llama3.2")
    luci_dl.remove("llama3.2")

Where things are, each line knowing only of those below it:

    cli/          words in, exit code out; one file a command
    ui/           shows events: bars, lines, JSON
    api/          the functions above
    installer.py  many models: in turn or side by side, and how it ended for each
    installation.py  one model, the flow: what is there, a transaction, a fetch, the commit
    placement.py  which folder each model goes to; relief.py: what could be removed where none can hold it
    dry_run.py    what an install would do
    standing.py   what stands at the targets already, and what has to be fetched because of it
    adoption.py   bytes from a copy on this machine; copies.py knows where to look
    lookup.py     what a NAME means
    cleaner.py    orphans, roll-forward
    recall.py     what was installed by a reference: all that can be said offline
    verifier.py   installed files, read again
    remover.py    an installed model goes
    library.py    what is installed: receipts
    running.py    what runs now: the locks that are held
    partials.py   what lies half-fetched, by the journals
    doctor/       is this machine ready: each check looks at one thing
    versions.py   what luci runs on
    machine.py    what there is room for
    curator.py    the user's own catalog: entries added, facts refreshed
    gguf/         what a GGUF file says of itself, and how many bytes it must have
    config.py     settings and where they come from; config_keys.py: what each may be; config_file.py: the file
    sources/      a reference becomes artifacts: the catalog, addresses
    net/          bytes from servers: client (one request), connections and dial (straight or by a proxy), certificates,
                  trouble (what went wrong, in words), worker (one segment), crew (the workers), fetch, tune (how many),
                  pace (the limit), mirrors, retry, hub (what the Hub means when it refuses), bearer (tokens of
                  registries)
    disk/         bytes onto disk: fs (the calls whose order matters), staging (paths, lock), part with ledger (who may
                  write where), follower (hash, sync) and journal, target (what stands there), commit (rename,
                  record, roll-forward), space (claims), mounts (kinds of file systems), trust (where locks lie),
                  last_look (before the last rename), transaction
    errors.py events.py artifact.py plan.py cancel.py names.py text.py     the words everyone uses
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luci_dl.api.asking import Info, catalog, info, installed, path, search, settings, status
    from luci_dl.api.checking import verify
    from luci_dl.api.installing import Forecast, forecast, install
    from luci_dl.api.removing import clean, remove
    from luci_dl.artifact import Artifact, Model
    from luci_dl.cancel import CancelToken
    from luci_dl.config import Settings
    from luci_dl.disk.transaction import Transaction
    from luci_dl.errors import LuciError
    from luci_dl.events import Event
    from luci_dl.library import InstalledModel
    from luci_dl.plan import Options
    from luci_dl.running import Running
    from luci_dl.sources.choice import Choice

__version__ = "0.1.0"
__all__ = [
    "Artifact",
    "CancelToken",
    "Choice",
    "Event",
    "Forecast",
    "Info",
    "InstalledModel",
    "LuciError",
    "Model",
    "Options",
    "Running",
    "Settings",
    "Transaction",
    "__version__",
    "catalog",
    "clean",
    "forecast",
    "info",
    "install",
    "installed",
    "path",
    "remove",
    "search",
    "settings",
    "status",
    "verify",
]

_HOMES = {
    "api.asking": ("Info", "catalog", "info", "installed", "path", "search", "settings", "status"),
    "api.checking": ("verify",),
    "api.installing": ("Forecast", "forecast", "install"),
    "api.removing": ("clean", "remove"),
    "artifact": ("Artifact", "Model"),
    "cancel": ("CancelToken",),
    "config": ("Settings",),
    "disk.transaction": ("Transaction",),
    "errors": ("LuciError",),
    "events": ("Event",),
    "library": ("InstalledModel",),
    "plan": ("Options",),
    "running": ("Running",),
    "sources.choice": ("Choice",),
}


def __getattr__(name: str) -> object:
    """The API, each name imported when it is first used: the command line starts faster without it."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'luci_dl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"luci_dl.{home}"), name)
