"""What is asked of servers: for a large file whose address expires, and for a repository of many small files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench_lib.ground import File, Ground, Site, Slate
from bench_lib.hub import REPO, fake_hub
from bench_lib.lines import End, Line, connected
from bench_lib.measure import BenchError, Run, Runs, measure
from bench_lib.programs import PEERS, is_there
from bench_lib.scenarios import in_rounds
from luci_dl.cli.demo_gguf import make_gguf
from tests.procs import LUCI
from tests.servers.hub import Hub

LARGE = 2 << 30
"""Bytes; what 40 GB need follows from the limit, which grows with the size."""
STORE_LIMIT = 16 + LARGE // (32 << 20)
VALID_S = 4
SECRET = "bench"
SIGNED = f"""
secure_link $arg_signature,$arg_expires;
secure_link_md5 "$secure_link_expires$uri {SECRET}";
if ($secure_link != "1") {{ return 403; }}
"""
"""What makes nginx a store of signed addresses."""
SMALL_FILES, SMALL = 300, 20 << 10
LARGER_FILE, LARGER = "model.gguf", 8 << 20
AWAY = Line(rtt_ms=20, mbit=1000)
LOOK_EVERY_S = 0.005
WATCHED = "luci, watched"


def requests(ground: Ground, rounds: int) -> Runs:
    """A large file at 20 MB/s a connection, behind an origin that redirects to addresses valid for VALID_S."""
    file = ground.make_file(LARGE, sparse=True)
    with ground.site(limit_rate="20m", rules=SIGNED) as store:
        return in_rounds({"luci": partial(_large_file, ground, store, file)}, rounds)


def _large_file(ground: Ground, site: Site, file: File) -> Run:
    store, path = site.nginx, f"/{file.name}"
    with fake_hub(lambda: store.url(signed(path)), file.sha256, file.size) as origin, ground.slate() as slate:
        before = store.requests()
        run = measure([*LUCI, "install", origin.url(file.name), "--sha256", file.sha256], slate.env, slate.log)
        counts = {"origin": len(origin.asked), "store": store.requests() - before, "expired": run.seconds // VALID_S}
        return replace(run, counts=counts)


def signed(path: str) -> str:
    """The path with a signature that nginx, configured as SIGNED says, takes for VALID_S."""
    expires = int(time.time()) + VALID_S
    digest = hashlib.md5(f"{expires}{path} {SECRET}".encode(), usedforsecurity=False).digest()
    return f"{path}?signature={base64.urlsafe_b64encode(digest).decode().rstrip('=')}&expires={expires}"


def small_files(ground: Ground, rounds: int) -> Runs:
    """A repository of many small files at the end of a line, by luci and by hf; once more by luci, watched."""
    with _hub_away(ground) as (hub, here):
        commands = {"luci": _by_luci}
        if is_there("hf"):
            commands["hf download"] = _by_hf
        runs = {name: partial(_repository, ground, hub, here, commands[name]) for name in commands}
        watched = {WATCHED: partial(_watched, ground, hub, here)}
        return in_rounds(runs, rounds) | in_rounds(watched, rounds=1, warm_up=False)


@contextmanager
def _hub_away(ground: Ground) -> Iterator[tuple[Hub, End]]:
    """A Hub with that repository at one end of a line, and the other end."""
    noise = random.Random(0)
    files = {f"tokens/{number:03}.txt": noise.randbytes(SMALL) for number in range(SMALL_FILES)}
    with (
        ground.scratch("hub") as folder,
        connected(AWAY, folder) as ends,
        ends.server.do(lambda: Hub(ends.server.address, ends.server.address)) as hub,
    ):
        hub.add(REPO, {**files, LARGER_FILE: make_gguf(LARGER)})
        yield hub, ends.client


def _by_luci(slate: Slate) -> list[str]:
    host = urlsplit(slate.hub).hostname
    home = Path(slate.env["LUCI_HOME"])
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"http_hosts": [host]}))
    return [*LUCI, "install", f"hf:{REPO}", "--all-files"]


def _by_hf(slate: Slate) -> list[str]:
    return [str(PEERS / "bin" / "hf"), "download", REPO, "--local-dir", str(slate.models)]


def _repository(ground: Ground, hub: Hub, here: End, by: Callable[[Slate], list[str]]) -> Run:
    with ground.slate(hub.endpoint) as slate:
        run = measure(by(slate), slate.env, slate.log, here.command)
        _check(slate)
        return run


def _watched(ground: Ground, hub: Hub, here: End) -> Run:
    """Its `counts`: the most threads and descriptors at any moment."""
    with ground.slate(hub.endpoint) as slate, slate.log.open("wb") as log:
        start, most = time.monotonic(), {"threads": 0, "descriptors": 0}
        command = [*here.command, *_by_luci(slate)]
        with subprocess.Popen(command, env=slate.env, stdout=log, stderr=log) as process:
            while process.poll() is None:
                for name, folder in (("threads", "task"), ("descriptors", "fd")):
                    most[name] = max(most[name], len(os.listdir(f"/proc/{process.pid}/{folder}")))
                time.sleep(LOOK_EVERY_S)
        _check(slate)
        return Run(time.monotonic() - start, cpu=0, peak=0, counts=most)


def _check(slate: Slate) -> None:
    """Raises: BenchError, unless every file is there."""
    sizes = [path.stat().st_size for path in slate.models.rglob("*") if path.suffix in (".txt", ".gguf")]
    if sorted(sizes) != [*[SMALL] * SMALL_FILES, LARGER]:
        raise BenchError(f"{len(sizes)} files, and some are missing: {slate.log.read_text(errors='replace')[-500:]}")
