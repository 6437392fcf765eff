"""The Hub behind the uplink: its documents from the tests' Hub, TLS and the bytes from nginx."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench_lib.fleet.bed import Bed
from bench_lib.ground import sha256_of
from bench_lib.lines import End
from tests.nginx import Nginx, nginx
from tests.servers.hub import Hub

REPO = "bench/model"
DOCUMENTS = """
location / {{ proxy_pass {hub}; }}
location ~ ^/api/models/.+/paths-info/ {{
    default_type application/json;
    return 200 '{listed}';
}}
"""
"""The tests' Hub answers no POST, by which olah asks for the one file that it is asked for."""
BLOBS = """
location = /v2/ { return 200 "{}"; }
location ~ "^/v2/.+/blobs/sha256:(?<digest>[0-9a-f]{64})$" { rewrite ^ /$digest break; }
"""
"""The files of the store, as a registry has them."""


@dataclass(frozen=True)
class Upstream:
    """A Hub that has one large file.

    Attributes:
        endpoint, bytes_from: its https address, and that of the host which has the bytes, by SHA-256.
        ca_file: the authority to trust.
        name, size, sha256: of the file.
        store: the file that is sent.
    """

    endpoint: str
    bytes_from: str
    ca_file: Path
    name: str
    size: int
    sha256: str
    commit: str
    store: Path

    @property
    def resolve(self) -> str:
        """The path of the file at a Hub."""
        return f"/{REPO}/resolve/main/{self.name}"

    def has(self, path: Path) -> bool:
        """True when that is the file."""
        return sha256_of(path) == self.sha256

    @contextmanager
    def wrong(self) -> Iterator[None]:
        """Send the file with one byte flipped."""
        self._flip()
        try:
            yield
        finally:
            self._flip()

    def _flip(self) -> None:
        """In a new file of the same age, so that nothing but its bytes says that it is another."""
        stat, new = self.store.stat(), self.store.with_suffix(".new")
        data = bytearray(self.store.read_bytes())
        data[len(data) // 2] ^= 1
        new.write_bytes(data)
        os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        new.rename(self.store)


@contextmanager
def upstream(bed: Bed, folder: Path, path: Path) -> Iterator[Upstream]:
    """Serve the file `path`; `folder` is a new one for what that needs."""
    sha256, size, served = sha256_of(path), path.stat().st_size, folder / "served"
    served.mkdir(parents=True)
    (served / sha256).write_bytes(path.read_bytes())
    ca_file, ca = folder / "ca.pem", trustme.CA()
    ca.cert_pem.write_to_path(str(ca_file))
    entry = {"type": "file", "path": path.name, "size": size, "oid": "f" * 40, "lfs": {"oid": sha256, "size": size}}
    with (
        bed.hub.do(Hub) as hub,
        _nginx(bed.hub, served, folder / "front", ca, _documents(hub, [entry])) as front,
        _nginx(bed.store, served, folder / "store", ca, BLOBS) as store,
    ):
        repo = hub.add(REPO, {path.name: path.read_bytes(), "README.md": b"# A model\n"})
        hub.endpoint, hub.store = front.origin, store.origin
        commit = repo.commit("main")
        assert commit
        yield Upstream(front.origin, store.origin, ca_file, path.name, size, sha256, commit, served / sha256)


def _documents(hub: Hub, listed: object) -> str:
    return DOCUMENTS.format(hub=hub.endpoint, listed=json.dumps(listed))


def _nginx(end: End, served: Path, here: Path, ca: trustme.CA, rules: str) -> AbstractContextManager[Nginx]:
    return nginx(served, here, ca, address=end.address, within=end.command, rules=rules)
