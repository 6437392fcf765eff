"""What can serve a LAN, and how each is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench_lib.fleet.clients import READER, SWARM
from bench_lib.fleet.upstream import Upstream
from bench_lib.programs import OLAH
from tests.nginx import CONFIG
from tests.procs import LUCI

SLICES = """
    proxy_cache_path {folder}/cache keys_zone=slices:1m inactive=1h;
    server {{
        listen {address}:{port};
        location / {{
            slice 4m;
            proxy_cache slices;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 60s;
            proxy_cache_key $uri$slice_range;
            proxy_cache_valid 200 206 1h;
            proxy_http_version 1.1;
            proxy_set_header Range $slice_range;
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_trusted_certificate {ca_file};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_pass {store};
        }}
    }}
"""
REGISTRY = """
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {folder}/data }} }}
http: {{ addr: "{address}:{port}" }}
proxy: {{ remoteurl: "{store}" }}
"""


@dataclass(frozen=True)
class Place:
    """Where a server runs: at an address of the LAN, with a folder for what it keeps."""

    upstream: Upstream
    folder: Path
    address: str
    port: int

    @property
    def origin(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def env(self) -> Mapping[str, str]:
        """What is in the server's environment beside PATH."""
        trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(self.upstream.ca_file))
        homes = {"HOME": str(self.folder), "LUCI_HOME": str(self.folder / "luci"), "LANG": "C.UTF-8"}
        return trusted | homes | {"HF_ENDPOINT": self.upstream.endpoint}

    def filled(self, template: str) -> str:
        """The text with the facts of this place."""
        store, ca_file = self.upstream.bytes_from, self.upstream.ca_file
        return template.format(folder=self.folder, address=self.address, port=self.port, store=store, ca_file=ca_file)


@dataclass(frozen=True)
class Engine:
    """One way to serve a file to many hosts.

    Attributes:
        program: what must be installed for it.
        command: the command line that starts it; None: there is no server.
        path: where it has the file, for those who ask by address.
        clients: those that it can serve.
        lacks: what it cannot do.
    """

    name: str
    program: str
    command: Callable[[Place], list[str]] | None
    path: Callable[[Upstream], str]
    clients: tuple[str, ...]
    lacks: str = ""


def _luci(place: Place) -> list[str]:
    return [*LUCI, "serve", "--bind", f"{place.address}:{place.port}", "--dir", str(place.folder / "models")]


def _swarm(place: Place) -> list[str]:
    return [*_luci(place), "--swarm"]


def _nginx(place: Place) -> list[str]:
    config = place.folder / "nginx.conf"
    config.write_text(CONFIG.format(here=place.folder, servers=place.filled(SLICES)))
    return ["nginx", "-p", str(place.folder), "-c", str(config), "-e", "stderr"]


def _olah(place: Place) -> list[str]:
    upstream, here = place.upstream, f"{place.address}:{place.port}"
    hub, store = (origin.removeprefix("https://") for origin in (upstream.endpoint, upstream.bytes_from))
    theirs = ["--hf-scheme", "https", "--hf-netloc", hub, "--hf-lfs-netloc", store]
    ours = ["--mirror-scheme", "http", "--mirror-netloc", here, "--mirror-lfs-netloc", here]
    where = ["--repos-path", str(place.folder / "repos"), "--log-path", str(place.folder / "logs")]
    return [str(OLAH), "--host", place.address, "--port", str(place.port), *theirs, *ours, *where]


def _registry(place: Place) -> list[str]:
    config = place.folder / "config.yml"
    config.write_text(place.filled(REGISTRY))
    return ["docker-registry", "serve", str(config)]


def _at_hub(upstream: Upstream) -> str:
    return upstream.resolve


def _by_digest(upstream: Upstream) -> str:
    return f"/{upstream.sha256}"


def _as_blob(upstream: Upstream) -> str:
    return f"/v2/bench/model/blobs/sha256:{upstream.sha256}"


ALONE = Engine("each host alone", "luci", None, _at_hub, ("luci", "hf", "curl"), "a copy over the uplink for each")
SERVE = Engine("luci serve", "luci", _luci, _at_hub, ("luci", "hf", "curl", READER))
SHARED = Engine("luci serve --swarm", "luci", _swarm, _at_hub, (SWARM,), "verified files only; needs libtorrent")
ENGINES = (
    ALONE,
    SERVE,
    SHARED,
    Engine("nginx slices", "nginx", _nginx, _by_digest, ("curl", READER), "checks no digest, follows no redirect"),
    Engine("olah", "olah", _olah, _at_hub, ("hf", "curl", READER), "checks no digest, needs the Hub for each request"),
    Engine("docker-registry", "docker-registry", _registry, _as_blob, ("curl", READER), "blobs of a registry only"),
)
