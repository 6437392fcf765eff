"""A real nginx on the loopback, without root, with its own configuration and port."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.procs import wait_until
from tests.tools import need

CONFIG = """
daemon off;
master_process off;
error_log stderr;
pid {here}/pid;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    log_format sent '$request_method $uri $status $body_bytes_sent';
    access_log {here}/access.log sent;
    sendfile on;
    {servers}
}}
"""
SERVER = """
    server {{
        limit_rate {limit_rate};
        listen {address}:{port}{secure};
        root {folder};
        {tls}
        {rules}
    }}
"""
TLS = "ssl_protocols TLSv1.3; ssl_certificate {here}/chain.pem; ssl_certificate_key {here}/key.pem;"


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    origin: str
    access_log: Path

    def url(self, target: str) -> str:
        return self.origin + target

    def requests(self) -> int:
        """Those that have ended."""
        return len(self.access_log.read_text().splitlines())

    def sent(self) -> int:
        """Bytes of bodies sent by the requests that have ended."""
        return sum(int(line.rsplit(maxsplit=1)[1]) for line in self.access_log.read_text().splitlines())


@contextmanager
def nginx(
    folder: Path,
    here: Path,
    tls: trustme.CA | None = None,
    limit_rate: str = "0",
    address: str = "127.0.0.1",
    within: Sequence[str] = (),
    rules: str = "",
) -> Iterator[Nginx]:
    """Serve the files of `folder`.

    Args:
        here: a new folder for nginx's own.
        limit_rate: per connection, as `20m`.
        within: the command that runs it elsewhere, where it has that address.
        rules: more of nginx's configuration.
    """
    here.mkdir()
    if tls:
        write_certificate(tls, here, address)
    port = free_port()
    server = SERVER.format(
        folder=folder,
        address=address,
        port=port,
        limit_rate=limit_rate,
        secure=" ssl" if tls else "",
        tls=TLS.format(here=here) if tls else "",
        rules=rules,
    )
    with running(server, here, within) as access_log:
        yield Nginx(f"{'https' if tls else 'http'}://{address}:{port}", access_log)


@contextmanager
def running(servers: str, here: Path, within: Sequence[str] = ()) -> Iterator[Path]:
    """An nginx with these parts of a configuration. Yields: its access log."""
    program = need("nginx")
    (here / "nginx.conf").write_text(CONFIG.format(here=here, servers=servers))
    command = [*within, program, "-p", str(here), "-c", str(here / "nginx.conf"), "-e", "stderr"]
    with (here / "error.log").open("wb") as errors, subprocess.Popen(command, stderr=errors) as process:
        try:
            wait_until(lambda: process.poll() is not None or (here / "pid").exists())
            assert process.poll() is None, (here / "error.log").read_text()
            yield here / "access.log"
        finally:
            process.terminate()


def write_certificate(authority: trustme.CA, here: Path, address: str = "127.0.0.1") -> None:
    """Its chain.pem and key.pem, in that folder."""
    certificate = authority.issue_cert("localhost", address)
    certificate.private_key_pem.write_to_path(str(here / "key.pem"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(here / "chain.pem"), append=True)


def free_port() -> int:
    """A free one of those that the kernel gives to nobody who does not ask for that number."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
