"""luci: a transactional download manager for large model files.

A file appears at its final path only when it is complete, its SHA-256 is right, and it is safely on disk.

    import luci_dl

    paths = luci_dl.install("llama3.2")          # names, groups, addresses, as on the command line
    luci_dl.path("llama3.2")
    luci_dl.remove("llama3.2")

Where things are; each package imports only from those below it, and the head of most lists its modules:

    cli/          words in, exit code out; one file per command; topics/: what `luci help TOPIC` prints
    ui/           shows events: bars, lines, JSON; describe: the sentence for each event
    api/          the functions above, one module per command; all that cli/ calls
    serve/        one copy for a whole lab: assembly (its parts put together), server, desk (what all routes share),
                  pulls, sending; the routes: files, hub, ollama, page, swarm
    install/      in the order in which it happens:
        request       arguments -> models (resolve, pickles, servers); context: what all models of a run share
        placement     which folder each model goes to; free_space: what to remove when no folder has enough space
        inspect       what stands at the targets -> actions: the only place that decides what must be done
        local_copies  copies on this machine
        already       a model that is installed, by its receipts alone
        head_start    the first request, sent while the disk is prepared
        transfer      one model: a transaction around its actions
        filling       the files of one model, side by side: fetching, lan (servers to ask first), swarm (other hosts),
                      second_try, copying, shards; companions
        batch         many models: in turn or side by side, and the outcome of each
        too_large     a warning before what this machine cannot run
        dry_run       the same actions, reported; pending: what comes before them
        repair        models with damaged files, installed again
        linking       links to other programs
        outdated      what is no longer what its reference names; upgrade: installed again
    transport/    installed models to another folder or disk, onto a stick, and from it, and to a bucket
    doctor/       is this machine ready: one check, one function
    library/      what is in a models folder: folder (the only code that searches for luci's own files), installed,
                  partials, running, problems (what cannot be read), lookup (what a NAME means), clean, verify,
                  remove, sharing (files of several models), gguf_files; runners (where other programs keep models),
                  programs (what they hold), everywhere (and what is there twice), links/: one copy for all of them
    catalog/      the built-in catalog and the user's own: catalog, entries, merge, check, search, fit, estimate,
                  edit, refresh, file
    sources/      a reference becomes a model: base (the protocol and the tuple of all sources), huggingface/, ollama/,
                  docker/, s3/, url; endpoints: the servers and mirrors to ask; pages: what an address copied from a
                  browser means
    config/       settings (one dataclass, each field with its key), keys, kinds, show, edit, file: config.json
    net/          bytes from servers: client (one request), judge (what the response means for a file), documents (small
                  responses), fetch (one file over several connections)
    swarm/        bytes from host to host
    disk/         bytes onto disk: transaction (one model), part (the bytes of one file), locks, space, fs (the calls
                  whose order matters), layout (all paths)
    machine/      what this machine can run: memory, graphics, fit
    formats/      what the bytes of a file must be, by its name: GGUF, safetensors, ONNX; what is no model (a web page)
    model.py plan.py rate_limit.py errors.py events/ cancel.py pool.py environment.py text.py figures.py frozen.py
                  names.py (which names files may have): shared types and helpers
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luci_dl.api.catalog import catalog, search
    from luci_dl.api.clean import clean
    from luci_dl.api.config import settings
    from luci_dl.api.everywhere import Found, everywhere
    from luci_dl.api.export import export_models
    from luci_dl.api.import_ import import_models
    from luci_dl.api.info import Info, info, path
    from luci_dl.api.install import Forecast, forecast, install
    from luci_dl.api.link import link, links, unlink
    from luci_dl.api.list import installed
    from luci_dl.api.move import move
    from luci_dl.api.outdated import Standing, outdated
    from luci_dl.api.push import push
    from luci_dl.api.remove import remove
    from luci_dl.api.serve import serve
    from luci_dl.api.status import status
    from luci_dl.api.upgrade import upgrade
    from luci_dl.api.verify import verify
    from luci_dl.cancel import CancelToken
    from luci_dl.config.settings import Settings
    from luci_dl.disk.transaction import Transaction
    from luci_dl.errors import LuciError
    from luci_dl.events import Event
    from luci_dl.library.installed import InstalledModel
    from luci_dl.library.running import Running
    from luci_dl.model import Artifact, Model
    from luci_dl.plan import Options
    from luci_dl.rate_limit import RateLimit
    from luci_dl.sources.selection import FileSelection

__version__ = "0.1.0"
__all__ = [
    "Artifact",
    "CancelToken",
    "Event",
    "FileSelection",
    "Forecast",
    "Found",
    "Info",
    "InstalledModel",
    "LuciError",
    "Model",
    "Options",
    "RateLimit",
    "Running",
    "Settings",
    "Standing",
    "Transaction",
    "__version__",
    "catalog",
    "clean",
    "everywhere",
    "export_models",
    "forecast",
    "import_models",
    "info",
    "install",
    "installed",
    "link",
    "links",
    "move",
    "outdated",
    "path",
    "push",
    "remove",
    "search",
    "serve",
    "settings",
    "status",
    "unlink",
    "upgrade",
    "verify",
]

_HOMES = {
    "api.catalog": ("catalog", "search"),
    "api.clean": ("clean",),
    "api.config": ("settings",),
    "api.export": ("export_models",),
    "api.import_": ("import_models",),
    "api.everywhere": ("Found", "everywhere"),
    "api.link": ("link", "links", "unlink"),
    "api.info": ("Info", "info", "path"),
    "api.install": ("Forecast", "forecast", "install"),
    "api.list": ("installed",),
    "api.move": ("move",),
    "api.outdated": ("Standing", "outdated"),
    "api.push": ("push",),
    "api.remove": ("remove",),
    "api.serve": ("serve",),
    "api.status": ("status",),
    "api.upgrade": ("upgrade",),
    "api.verify": ("verify",),
    "model": ("Artifact", "Model"),
    "cancel": ("CancelToken",),
    "config.settings": ("Settings",),
    "disk.transaction": ("Transaction",),
    "errors": ("LuciError",),
    "events": ("Event",),
    "library.installed": ("InstalledModel",),
    "plan": ("Options",),
    "rate_limit": ("RateLimit",),
    "library.running": ("Running",),
    "sources.selection": ("FileSelection",),
}


def __getattr__(name: str) -> object:
    """The API, each name imported when it is first used: the command line starts faster without it."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'luci_dl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"luci_dl.{home}"), name)


class _Package(ModuleType):
    """`luci_dl.install` and `luci_dl.catalog` are the functions, though subpackages have these names, too."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):  # how the import system adds a subpackage
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
