"""What the tools run on: a file to fetch, servers that have it, and a clean slate for each run."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench_lib.hub import fake_hub
from bench_lib.lines import Ends, Line, connected
from bench_lib.measure import BenchError
from luci_dl.cli.demo_gguf import make_gguf
from tests.nginx import Nginx, nginx

HEAD = 1 << 20  # bytes of a sparse file that are not zeros


@dataclass(frozen=True)
class File:
    """A file that the servers have."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Site:
    """An nginx that runs.

    Attributes:
        folder: its own; its process id is in the file `pid`.
        ends: where it runs, and where its clients do.
    """

    nginx: Nginx
    folder: Path
    ends: Ends

    @property
    def port(self) -> int:
        return int(self.nginx.origin.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


@dataclass(frozen=True)
class Slate:
    """A clean slate for one run.

    Attributes:
        run: the folder, new and empty; gone after the run.
        hub: the endpoint of the Hub to ask; ca_file: the authority to trust.
    """

    run: Path
    hub: str
    ca_file: Path

    @property
    def models(self) -> Path:
        """The folder where files are to stand."""
        return self.run / "models"

    @property
    def log(self) -> Path:
        """Where the output goes."""
        return self.run / "log"

    @property
    def env(self) -> dict[str, str]:
        """The whole environment: nothing of the user's but where programs are."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.run),
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "LUCI_HOME": str(self.run / "luci"),
            "LUCI_MODELS_DIR": str(self.models),
            "HF_HOME": str(self.run / "hf"),
            "HF_ENDPOINT": self.hub,
            "HF_HUB_DISABLE_XET": "1",
        }


@dataclass(frozen=True)
class Job(Slate):
    """One file to fetch from one address; the Hub has it, too."""

    file: File
    url: str

    @property
    def target(self) -> Path:
        return self.models / self.file.name

    def check(self) -> None:
        """Raises: BenchError, unless the target is the file."""
        if not self.target.exists() or sha256_of(self.target) != self.file.sha256:
            raise BenchError("it ended well, and the file is missing or wrong")


class Ground:
    """A folder on the disk that is measured, and what lies there. The served files stay, for the next time."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder.absolute()
        self._served = self.folder / "served"
        self._served.mkdir(parents=True, exist_ok=True)
        self._sweep()
        self._ca = trustme.CA()
        self._ca_file = self.folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self._ca_file))
        self.file = self.make_file(size)

    def make_file(self, size: int, sparse: bool = False) -> File:
        """A GGUF file of that size: noise, or beyond its head zeros that take no room."""
        path = self._served / f"{'zeros' if sparse else 'noise'}-{size}.gguf"
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_bytes(make_gguf(min(size, HEAD) if sparse else size))
            os.truncate(new, size)
            new.rename(path)
        return File(path.name, size, sha256_of(path))

    @contextmanager
    def site(
        self, tls: bool = False, limit_rate: str = "0", line: Line | None = None, rules: str = ""
    ) -> Iterator[Site]:
        """Run nginx, at the other end of a line or on the loopback; limit_rate and rules: see tests/nginx.py."""
        with self.scratch("site") as folder, connected(line, folder) as ends:
            here, ca, server = folder / "nginx", self._ca if tls else None, ends.server
            with nginx(self._served, here, ca, limit_rate, server.address, server.command, rules) as running:
                yield Site(running, here, ends)

    @contextmanager
    def job(self, site: Site, file: File | None = None) -> Iterator[Job]:
        """A clean slate, and a file to fetch (None: the one that is measured)."""
        file = file or self.file
        url = site.nginx.url(f"/{file.name}")
        with fake_hub(lambda: url, file.sha256, file.size) as hub, self.slate(hub.endpoint) as slate:
            yield Job(slate.run, slate.hub, slate.ca_file, file, url)

    @contextmanager
    def slate(self, hub: str = "") -> Iterator[Slate]:
        """A new folder on a disk that has nothing left to write."""
        with self.scratch("run") as folder:
            slate = Slate(folder, hub, self._ca_file)
            slate.models.mkdir()
            os.sync()
            yield slate

    @contextmanager
    def scratch(self, what: str) -> Iterator[Path]:
        """A new folder, gone at the end of the block, or with the next bench when this one is killed."""
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{what}-{os.getpid()}-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _sweep(self) -> None:
        for left in self.folder.glob("*-*-*"):
            if not Path("/proc", left.name.split("-")[1]).exists():
                shutil.rmtree(left)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
