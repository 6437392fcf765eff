"""Real proxies on the loopback, from Debian's packages, each on its own port and without root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.nginx import accepts, free_port
from tests.procs import wait_until
from tests.tools import need

SQUID = """
{door} 127.0.0.1:{port} {tls}
pid_filename none
cache_effective_user proxy
cache deny all
access_log none
cache_log /dev/null
netdb_filename none
pinger_enable off
{access}
http_access deny all
"""
ONLY_KNOWN = """
auth_param basic program {authenticator}
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
"""
AUTHENTICATOR = """#!/bin/sh
while read -r pair; do
    case $pair in "me p@ss" | "me p%40ss") echo OK ;; *) echo ERR ;; esac
done
"""


@contextmanager
def squid(only_known: bool = False, tls: trustme.CA | None = None) -> Iterator[int]:
    """Its port.

    Args:
        only_known: accept only the user "me" with the password "p@ss".
        tls: speak TLS with its clients, with a certificate of that authority.
    """
    program, port = need("squid"), free_port()
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o755)  # root's squid becomes another user
        authenticator = here / "authenticator"
        authenticator.write_text(AUTHENTICATOR)
        authenticator.chmod(0o755)
        access = ONLY_KNOWN.format(authenticator=authenticator) if only_known else "http_access allow all"
        door, tls_options = "http_port", ""
        if tls:
            certificate = tls.issue_cert("127.0.0.1")
            certificate.private_key_and_cert_chain_pem.write_to_path(str(here / "both.pem"))
            door, tls_options = "https_port", f"tls-cert={here}/both.pem"
        (here / "conf").write_text(SQUID.format(port=port, access=access, door=door, tls=tls_options))
        try:
            with _running([program, "-N", "-d", "1", "-n", f"luci{port}", "-f", str(here / "conf")], port):
                yield port
        finally:
            for shared in Path("/dev/shm").glob(f"luci{port}-*"):  # squid itself takes two seconds to end
                shared.unlink()


@contextmanager
def tinyproxy(*lines: str) -> Iterator[int]:
    """Its port. `lines` are added to its configuration."""
    program, port = need("tinyproxy"), free_port()
    with tempfile.TemporaryDirectory() as here:
        conf = Path(here, "conf")
        conf.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", *lines, ""]))
        with _running([program, "-d", "-c", str(conf)], port):
            yield port


@contextmanager
def microsocks(*options: str) -> Iterator[int]:
    """The port of a SOCKS5 proxy."""
    program, port = need("microsocks"), free_port()
    with _running([program, "-i", "127.0.0.1", "-p", str(port), *options], port):
        yield port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=os.sep)
        try:
            wait_until(lambda: process.poll() is not None or accepts(port))
            said.seek(0)
            assert process.poll() is None, said.read().decode()
            yield
        finally:
            process.kill()
            process.wait()
