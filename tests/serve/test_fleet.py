"""Many machines and one `luci serve`, in network namespaces, as root. Figures belong to `scripts/bench fleet`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.backlog import SYNC_S
from tests.procs import ROOT, wait_until
from tests.tools import need

sys.path.append(str(ROOT / "scripts"))

from bench_lib.fleet.bed import PROGRAMS, Bed, bed
from bench_lib.fleet.engines import ALONE, SERVE, Engine
from bench_lib.fleet.race import Outcome, lan
from bench_lib.fleet.scenarios import client_killed, server_killed
from bench_lib.fleet.upstream import Upstream, upstream

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

HOSTS, SIZE = 4, 16 << 20
LAN_MBIT, WAN_MBIT, SLOW_WAN_MBIT = 1000, 100, 25
COPIES = 1.02 + (1 << 20) / SIZE
"""With what was on its way on connections that were given up: on a busy machine that is much of so small a file."""
GENEROUS_S = 30
"""For what takes some three seconds on an idle machine."""
KILLED = f"""
import sys
sys.path += [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
import subprocess
from bench_lib.fleet.bed import bed
with bed(1, 100, 10) as made:
    subprocess.run([*made.hosts[0].command, "sh", "-c", "echo $$; exec sleep 60"])
"""


@dataclass(frozen=True)
class Site:
    """The machines, the Hub behind the uplink, and a folder for what they keep."""

    bed: Bed
    upstream: Upstream
    folder: Path

    def cold(self, client: str, engine: Engine = SERVE, **more: object) -> Outcome:
        """All hosts at once, from a server that has nothing."""
        with lan(self.bed, self.upstream, engine, self.folder) as here:
            return here.fetch(client, here.bed.hosts[:HOSTS], patience=GENEROUS_S, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    for program in (*PROGRAMS, "nginx", "curl"):
        need(program)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with made_site(tmp_path_factory.mktemp("fleet"), WAN_MBIT) as site:
        yield site


@contextmanager
def made_site(folder: Path, wan_mbit: float) -> Iterator[Site]:
    path = folder / "model.gguf"
    path.write_bytes(make_gguf(SIZE))
    with bed(HOSTS, LAN_MBIT, wan_mbit) as made, upstream(made, folder / "hub", path) as hub:
        yield Site(made, hub, folder)


def assert_all_have_it(outcome: Outcome, hosts: int = HOSTS) -> None:
    assert (len(outcome.seconds), outcome.wrong, outcome.failures) == (hosts, 0, ())


def test_each_host_alone_takes_a_copy_over_the_uplink(site: Site) -> None:
    """What the others are compared with, and whether the bed counts rightly and is as slow as it was asked to be."""
    outcome = site.cold("curl", ALONE)
    assert_all_have_it(outcome)
    assert HOSTS <= outcome.copies <= HOSTS * COPIES
    assert outcome.slowest >= 0.95 * HOSTS * SIZE * 8 / (WAN_MBIT * 1e6)


@pytest.mark.parametrize("client", ["luci", "curl"])
def test_the_uplink_carries_one_copy_for_all_hosts(site: Site, client: str) -> None:
    outcome = site.cold(client)
    assert_all_have_it(outcome)
    assert outcome.copies <= COPIES


def test_with_the_uplink_cut_luci_and_hf_get_what_the_server_has(site: Site) -> None:
    with lan(site.bed, site.upstream, SERVE, site.folder) as here:
        here.warm_up()
        site.bed.cut()
        for client, hosts in (("luci", HOSTS), ("hf", 1)):
            outcome = here.fetch(client, here.bed.hosts[:hosts], patience=GENEROUS_S)
            assert_all_have_it(outcome, hosts)
            assert outcome.copies == 0


def test_a_killed_server_that_starts_again_fetches_only_the_rest(tmp_path: Path) -> None:
    """And what came since the last line of the journal, which is a second old at most."""
    with made_site(tmp_path, SLOW_WAN_MBIT) as slow:
        outcome = slow.cold("luci", during=server_killed)
    assert_all_have_it(outcome)
    lost = 1.5 * SYNC_S * SLOW_WAN_MBIT * 1e6 / 8
    assert outcome.copies <= COPIES + lost / SIZE < 1.4


def test_a_killed_client_disturbs_no_other(site: Site) -> None:
    outcome = site.cold("luci", during=client_killed)
    assert_all_have_it(outcome, HOSTS - 1)
    assert outcome.copies <= COPIES


@pytest.mark.parametrize("client", ["luci", "curl"])
def test_nobody_has_a_file_of_which_the_hub_sends_a_wrong_byte(site: Site, client: str) -> None:
    with lan(site.bed, site.upstream, SERVE, site.folder) as here, site.upstream.wrong():
        outcome = here.fetch(client, here.bed.hosts[:HOSTS], patience=4)
    assert outcome.complete == 0


def test_nothing_of_a_bed_outlives_a_killed_bench() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout
        command = Path("/proc", bench.stdout.readline().strip())
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children").read_text().split()
        bench.kill()
    left = [command, *(Path("/proc", child) for child in children)]
    wait_until(lambda: not any(path.exists() for path in left))
