"""Many machines on this one: hosts and a server on a LAN, and behind a slower line the Hub. As root, on Linux.

    host 1 ─┐
    host 2 ─┤  bridge, and  ── the uplink ──  Hub
    server ─┘  router

Each is a network namespace. They have names only in a mount namespace of their own, which ends with the process that
made it: nothing outlives a killed bench, and two beds do not meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_lib.lines import End
from bench_lib.measure import BenchError

PROGRAMS = ("ip", "tc", "nsenter", "setpriv", "unshare")
HUB, STORE, WAN_GATEWAY = "192.0.2.2", "192.0.2.3", "192.0.2.1"
SERVER, LAN_GATEWAY = "10.8.0.1", "10.8.255.254"
HEADERS = 66
"""Bytes of Ethernet, IPv4 and TCP in each packet."""
ROUTER = f"""
mount -t tmpfs none /run
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add lan type bridge
ip address add {LAN_GATEWAY}/16 dev lan
ip link set lan up
"""
MACHINE = """
ip netns add {name}
ip link add {name} type veth peer name eth0 netns {name}
ip link set {name} up
ip -n {name} link set lo up
ip -n {name} address add {address} dev eth0
ip -n {name} link set eth0 up
ip -n {name} route add default via {gateway}
ip netns exec {name} sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save'
for end in "-n {name} qdisc add dev eth0" "qdisc add dev {name}"; do
    tc $end root tbf rate {mbit}mbit burst {burst} latency 50ms
done
"""
"""A machine, its line and what limits it, in both directions. No run profits from what TCP has learnt before it."""
ON_THE_LAN = "ip link set {name} master lan\n"
BEHIND_THE_LINE = f"""
ip address add {WAN_GATEWAY}/24 dev {{name}}
ip -n {{name}} address add {STORE}/24 dev eth0
"""


@dataclass(frozen=True)
class Bed:
    """A bed that is up.

    Attributes:
        router: what joins the LAN and the uplink.
        hub, store: two addresses of one machine, as the Hub sends the bytes from another host.
        hosts: those that fetch.
        lan_mbit, wan_mbit: Mbit/s of the line of each host and the server, and of the Hub's.
    """

    router: End
    hub: End
    store: End
    server: End
    hosts: Sequence[End]
    lan_mbit: float
    wan_mbit: float

    def from_hub(self) -> int:
        """Bytes that the Hub has sent, TLS and HTTP included."""
        return _counted(self.router, "hub", received=True)

    def from_server(self) -> int:
        """Bytes that the server has sent, to others and to clients on its own machine."""
        return sum(_counted(self.server, device, received=False) for device in ("eth0", "lo"))

    def lan_seconds(self, size: int, hosts: int) -> float:
        """The least that a server takes to send that to so many hosts."""
        return hosts * size * 8 / (self.lan_mbit * 1e6)

    def cut(self) -> None:
        """Take the uplink away."""
        self._set_uplink("down")

    def mend(self) -> None:
        """Bring the uplink back."""
        self._set_uplink("up")

    def _set_uplink(self, state: str) -> None:
        subprocess.run([*self.router.command, "ip", "link", "set", "hub", state], check=True)


def why_not() -> str | None:
    """What is missing for a bed."""
    if os.geteuid() != 0:
        return "a bed of many machines needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"a bed of many machines needs {' and '.join(missing)}" if missing else None


@contextmanager
def bed(hosts: int, lan_mbit: float, wan_mbit: float) -> Iterator[Bed]:
    """A bed that is up until the end of the block.

    Raises: BenchError, where it cannot be made.
    """
    if reason := why_not():
        raise BenchError(reason)
    names = [f"host{number}" for number in range(1, hosts + 1)]
    addresses = {"server": SERVER} | {name: f"10.8.1.{number}" for number, name in enumerate(names, start=1)}
    script = [ROUTER, _machine("hub", f"{HUB}/24", WAN_GATEWAY, wan_mbit), BEHIND_THE_LINE.format(name="hub")]
    for name, address in addresses.items():
        script += [_machine(name, f"{address}/16", LAN_GATEWAY, lan_mbit), ON_THE_LAN.format(name=name)]
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec"]
    with subprocess.Popen(
        [*command, "".join([*script, "echo up\n", "exec cat\n"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        if holder.stdout.readline() != b"up\n":
            raise BenchError("the network namespaces could not be made")

        def end(name: str, address: str) -> End:
            return End(address, f"/proc/{holder.pid}/root/run/netns/{name}")

        server, *others = [end(name, address) for name, address in addresses.items()]
        router = End(LAN_GATEWAY, f"/proc/{holder.pid}/ns/net")
        yield Bed(router, end("hub", HUB), end("hub", STORE), server, others, lan_mbit, wan_mbit)


def _machine(name: str, address: str, gateway: str, mbit: float) -> str:
    burst = max(64 << 10, int(mbit * 1e6 / 8 / 500))  # what passes in two milliseconds
    return MACHINE.format(name=name, address=address, gateway=gateway, mbit=mbit, burst=burst)


def _counted(where: End, device: str, received: bool) -> int:
    """Bytes that have passed above TCP, by the kernel's count."""
    table = where.do(Path("/proc/thread-self/net/dev").read_text)
    (row,) = [line.split(":")[1].split() for line in table.splitlines() if line.strip().startswith(f"{device}:")]
    size, packets = (int(row[column + (0 if received else 8)]) for column in (0, 1))
    return size - packets * HEADERS
