"""A file of real size over a fast line: large blocks that go past the cache, and whatever happens in between."""

from __future__ import annotations

import hashlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import trustme

import luci_dl
from luci_dl.disk import journal
from luci_dl.net import retry
from luci_dl.plan import Options
from tests.interrupting import STOPPED, assert_nothing_left
from tests.nginx import Nginx, nginx
from tests.procs import LUCI, Spawned, luci, wait_until
from tests.servers import FaultyServer, faults
from tests.tools import need

MIB = 1 << 20
DATA = b"GGUF" + random.Random(0).randbytes(40 * MIB + 1233)
DIGEST = hashlib.sha256(DATA).hexdigest()
MARK = 32 * MIB
"""So far it is when the first line is written into the journal."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[dict[str, Nginx]]:
    """One nginx without a limit, one that speaks TLS, and two that take a second: for one, for four."""
    here = tmp_path_factory.mktemp("lines")
    (here / "www").mkdir()
    (here / "www" / "m.gguf").write_bytes(DATA)
    www = here / "www"
    with (
        nginx(www, here / "plain") as plain,
        nginx(www, here / "tls", tls=ca) as secure,
        nginx(www, here / "slower", limit_rate="40m") as slower,
        nginx(www, here / "shared", limit_rate="10m") as shared,
    ):
        yield {"plain": plain, "tls": secure, "slower": slower, "shared": shared}


@pytest.fixture
def models(home: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    home.mkdir()
    (home / "config.json").write_text('{"min_free": 0}')
    return home / "models"


def words(line: Nginx, connections: int = 1) -> list[str]:
    return ["install", line.url("/m.gguf"), "--sha256", DIGEST, "-c", str(connections)]


def assert_installed(ended: CompletedProcess[str], models: Path) -> None:
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


def marks(models: Path) -> list[tuple[int, str]]:
    """What the journal proves, each of it checked against the part."""
    path = models / ".luci" / "m.gguf.journal"
    log = journal.read(path) if path.exists() else None
    part = path.with_suffix(".part")
    if not (log and part.exists()):
        return []
    there = part.read_bytes()
    assert all(hashlib.sha256(there[:at]).hexdigest() == digest for at, digest in log.checkpoints)
    return list(log.checkpoints)


def killed_behind_the_mark(server: FaultyServer, models: Path) -> tuple[list[str], int]:
    """Kill a run once its journal proves something. Returns: the words to go on with, and how much it proves."""
    url = server.serve("/m.gguf", DATA, [faults.stall(MARK + 4 * MIB), faults.ok()])
    again = ["install", url, "--sha256", DIGEST, "-c", "1"]
    with Spawned(*again) as run:
        wait_until(lambda: marks(models), 20)
        run.process.kill()
    log = journal.read(models / ".luci" / "m.gguf.journal")
    assert log
    return again, log.proved


@pytest.mark.parametrize(("kind", "connections"), [("plain", 1), ("plain", 4), ("tls", 1), ("tls", 16)])
def test_the_file_is_right(lines: dict[str, Nginx], models: Path, kind: str, connections: int) -> None:
    """However many connections bring it, plain and under TLS."""
    assert_installed(luci(*words(lines[kind], connections)), models)


@pytest.mark.parametrize("connections", [1, 4])
def test_killed_again_and_again_it_comes_to_its_end(lines: dict[str, Nginx], models: Path, connections: int) -> None:
    """At any moment, every line of the journal is true of the part, and nothing that it proves is lost."""
    moments, proved = random.Random(connections), 0
    for _ in range(3):
        with Spawned(*words(lines["slower"], connections)) as run:
            time.sleep(moments.uniform(0.3, 1.2))
            run.process.kill()
        now = max((at for at, _ in marks(models)), default=0)
        if (models / "m.gguf").exists():
            break
        assert now >= proved
        proved = now
    assert_installed(luci(*words(lines["plain"], connections)), models)


def test_signalled_at_any_moment_it_leaves_nothing(lines: dict[str, Nginx], models: Path) -> None:
    """Or the whole model, when the signal came after the rename."""
    moments = random.Random(1)
    for signum in [signal.SIGINT, signal.SIGTERM] * 2:
        with Spawned(*words(lines["shared"], 4)) as run:
            run.wait_for("Starting fresh")
            time.sleep(moments.uniform(0, 0.4))
            run.signal(signum)
            code = run.wait(10)
        assert code == -signum
        assert STOPPED in run.err
        assert_nothing_left(models, *(["m.gguf"] if (models / "m.gguf").exists() else []))


@pytest.mark.parametrize("beyond", [False, True])
def test_what_changed_on_the_disk_is_fetched_again(server: FaultyServer, models: Path, beyond: bool) -> None:
    """A flipped byte below the end of what the journal proves costs its block; what is beyond is missing anyway."""
    again, proved = killed_behind_the_mark(server, models)
    at = proved + 1000 if beyond else 1000
    with (models / ".luci" / "m.gguf.part").open("r+b") as part:
        part.seek(at)
        part.write(bytes([DATA[at] ^ 0xFF]))
    before = server.sent()
    assert_installed(luci(*again), models)
    assert server.sent() - before == len(DATA) - proved + (0 if beyond else MIB)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("connections", [1, 4])
def test_a_line_that_breaks_anywhere_costs_little(
    server: FaultyServer, models: Path, monkeypatch: pytest.MonkeyPatch, connections: int, reset: bool
) -> None:
    """The next goes on at a place that is no multiple of anything, and the file is right."""
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.01)
    places = random.Random(connections)
    cuts = [faults.cut(places.randrange(4, 6 * MIB), reset=reset) for _ in range(8)]
    url = server.serve("/m.gguf", DATA, [*cuts, faults.ok()])
    options = Options(connections=connections, min_free=0)
    luci_dl.install(f"{url}#sha256={DIGEST}", folder=models, options=options)
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


@pytest.mark.parametrize(
    ("injected", "said"),
    [
        ("pwrite64:error=EINVAL:when=6", ""),
        ("pwrite64:error=ENOSPC:when=6", "No space left on device"),
        ("pwrite64:error=EIO:when=8", "Input/output error"),
        ("fdatasync:error=EIO:when=1", "Input/output error"),
    ],
)
def test_what_the_kernel_says_in_the_middle(
    lines: dict[str, Nginx], models: Path, tmp_path: Path, injected: str, said: str
) -> None:
    """What goes another way goes on; what fails ends it, and nothing is left."""
    strace = [need("strace"), "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=openat,pwrite64,fdatasync"]
    with Spawned(*words(lines["plain"]), command=[*strace, "-e", f"inject={injected}", *LUCI]) as run:
        code = run.wait()
    if "ptrace" in run.err:
        pytest.skip("no process may be traced here")
    trace = (tmp_path / "trace").read_text()
    if "EINVAL" in injected and "O_DIRECT|" not in trace.replace("O_DIRECTORY", ""):
        pytest.skip("nothing is written past the cache here")
    assert "(INJECTED)" in trace
    assert code == (6 if said else 0), run.err
    assert said in run.err
    assert_nothing_left(models, *([] if said else ["m.gguf"]))
    assert said or (models / "m.gguf").read_bytes() == DATA
