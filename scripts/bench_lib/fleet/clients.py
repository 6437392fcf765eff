"""What a host runs to get the file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench_lib.fleet.upstream import REPO, Upstream
from bench_lib.ground import Slate
from tests.procs import LUCI

PERSISTENT_CURL = """
for attempt in $(seq 20); do
    setpriv --pdeathsig=KILL curl -sS --fail --location --cacert "$1" --connect-timeout 5 -C - -o "$2" "$3" && exit
    sleep 1
done
exit 1
"""
"""As people write it: what is there is never fetched again. It ends with its shell."""
READ = 'setpriv --pdeathsig=KILL curl -sS --fail "$1" | cmp - "$2" && ln "$2" "$3"'
"""Writes nothing, so that a hundred of them do not measure the disk."""
HF = [sys.executable, "-m", "huggingface_hub.cli.hf"]


@dataclass(frozen=True)
class Errand(Slate):
    """A clean slate for one host, and what it is to fetch.

    Attributes:
        hub: the Hub's own address.
        server: that of the LAN's server; empty for none.
        path: where the server, or the Hub, has the file.
    """

    upstream: Upstream
    server: str
    path: str

    def found(self) -> Path | None:
        """The file at the place where it is to be used."""
        return next((path for path in self.models.rglob(self.upstream.name) if path.is_file()), None)


Client = Callable[[Errand], tuple[list[str], Mapping[str, str]]]
"""Returns: the command, and what it needs in its environment beside that of the slate."""


def _luci(errand: Errand) -> tuple[list[str], Mapping[str, str]]:
    lan = {"LUCI_LAN": errand.server} if errand.server else {}
    return [*LUCI, "install", f"hf:{REPO}/{errand.upstream.name}"], lan


def _swarm(errand: Errand) -> tuple[list[str], Mapping[str, str]]:
    command, lan = _luci(errand)
    return [*command, "--swarm"], lan


def _hf(errand: Errand) -> tuple[list[str], Mapping[str, str]]:
    command = [*HF, "download", REPO, errand.upstream.name, "--local-dir", str(errand.models)]
    return command, {"HF_ENDPOINT": errand.server or errand.hub}


def _curl(errand: Errand) -> tuple[list[str], Mapping[str, str]]:
    url = (errand.server or errand.hub) + errand.path
    target = str(errand.models / errand.upstream.name)
    return ["sh", "-c", PERSISTENT_CURL, "sh", str(errand.ca_file), target, url], {}


def _reader(errand: Errand) -> tuple[list[str], Mapping[str, str]]:
    url, target = errand.server + errand.path, str(errand.models / errand.upstream.name)
    return ["sh", "-c", READ, "sh", url, str(errand.upstream.store), target], {}


READER = "reader"
SWARM = "luci --swarm"
CLIENTS: Mapping[str, Client] = {"luci": _luci, SWARM: _swarm, "hf": _hf, "curl": _curl, READER: _reader}
