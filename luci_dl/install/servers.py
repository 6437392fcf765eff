"""What an install works with: servers, copies on this machine, and the models that words stand for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from luci_dl.cancel import CancelToken
from luci_dl.catalog import catalog
from luci_dl.config.settings import Settings
from luci_dl.environment import variable
from luci_dl.events import Emit, Warned
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import Copies
from luci_dl.install.resolve import resolve
from luci_dl.model import Model
from luci_dl.net.network import Network
from luci_dl.net.tune import MAX_CONNECTIONS
from luci_dl.plan import Options
from luci_dl.sources.base import source_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints, endpoints_of
from luci_dl.sources.selection import FileSelection


def network_for(options: Options, log: Emit | None = None) -> Network:
    """The servers, unless an option or HF_HUB_OFFLINE forbids it. `log` gets an event for each request."""
    offline = options.offline or is_offline()
    connections = options.connections * options.jobs if options.connections else MAX_CONNECTIONS
    return Network(options.limit_rate, connections=connections, timeout=options.timeout, offline=offline, log=log)


def is_offline() -> bool:
    """Whether the environment forbids to ask servers. Raises: UsageError, if it says so in quotes."""
    return variable(os.environ, "HF_HUB_OFFLINE").upper() in ("1", "ON", "YES", "TRUE")


def context_for(
    settings: Settings, options: Options, token: CancelToken, emit: Emit, log: Emit | None = None
) -> InstallContext:
    """What an install with these options works with.

    Raises: UsageError, for a `--from` that does not exist, or a server on the LAN that cannot be one.
    """
    copies = Copies(os.environ, tuple(settings.every_folder), options.copies, caches=options.adopt, emit=emit)
    context = InstallContext(options, network_for(options, log), copies, token, emit)
    if context.network.offline:
        return context
    shares = options.swarm and _can_share(context)
    if not options.lan:
        return context
    from luci_dl.install.lan import Lan  # few have one

    lan = Lan(_endpoints(settings, options), context.network)
    if not shares:
        return replace(context, lan=lan)
    from luci_dl.install.swarm import Swarm  # few have one

    return replace(context, lan=lan, swarm=Swarm(lan, context.network))


def _can_share(context: InstallContext) -> bool:
    """Whether files can be shared with other hosts. Says what is missing."""
    from importlib.util import find_spec  # slow to load

    if not any(base.startswith("http:") for base in context.options.lan):
        missing = "a server in plain http that names them: luci config set lan http://HOST:8480"
    elif find_spec("libtorrent") is None:
        missing = "libtorrent: pip install 'luci-dl[swarm]'"
    else:
        return True
    context.emit(Warned(f"sharing files with other hosts needs {missing}; fetching from servers alone"))
    return False


def _endpoints(settings: Settings, options: Options) -> Endpoints:
    """Raises: UsageError."""
    return endpoints_of(os.environ, settings.mirrors, settings.http_hosts, options.lan)


def install_context(
    settings: Settings, options: Options, token: CancelToken, emit: Emit, log: Emit | None = None
) -> InstallContext:
    """The same for what is going to install: the programs to link to are there, too.

    Raises: UsageError; StorageError, when a program is not there.
    """
    if options.links:
        from luci_dl.library.links.targets import check_targets  # not needed by most

        check_targets(options.links)
    return context_for(settings, options, token, emit, log)


def resolve_words(
    words: Sequence[str], settings: Settings, selection: FileSelection, context: InstallContext
) -> list[Model]:
    """The models that the words stand for, according to the catalog and the servers of the settings.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """
    asking = resolve_context(settings, context)
    names = [word for word in words if source_of(word, asking.endpoints) is None]
    return resolve(words, catalog.load_for(names, settings.catalog), selection, asking)


def resolve_context(settings: Settings, context: InstallContext) -> ResolveContext:
    """What sources ask the servers of the settings with. Raises: UsageError."""

    def installed(reference: str) -> Model | None:
        from luci_dl.library.installed import installed_by  # few references need it

        return installed_by(reference, settings.every_folder)

    endpoints = _endpoints(settings, context.options)
    retries = context.options.retries
    return ResolveContext(context.network, endpoints, context.token, context.emit, retries, installed)
