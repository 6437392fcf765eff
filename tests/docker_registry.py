"""Debian's docker-registry on the loopback: a real server of the protocol, and how a model is pushed to it."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import load_pem_x509_certificate

from tests.nginx import accepts, free_port
from tests.procs import wait_until
from tests.servers.registry import INDEX, MANIFEST, digest_of, index, layer, manifest
from tests.tools import need

CONFIG = """
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {here}/data }} }}
http: {{ addr: "127.0.0.1:{port}" }}
"""
AUTH = """
auth: {{ token: {{ realm: "{realm}", service: models, issuer: luci, rootcertbundle: {here}/issuer.pem }} }}
"""


class Signer:
    """Signs tokens as docker-registry wants them: JSON Web Tokens with their certificate in the head."""

    def __init__(self) -> None:
        leaf = trustme.CA().issue_cert("issuer.example")
        self.certificate = leaf.cert_chain_pems[0].bytes()
        self._key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)

    def token(self, repository: str, actions: tuple[str, ...]) -> str:
        now = int(time.time())
        der = load_pem_x509_certificate(self.certificate).public_bytes(serialization.Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        access = [{"type": "repository", "name": repository, "actions": actions}]
        times = {"iat": now, "nbf": now - 60, "exp": now + 600}
        claims = {"iss": "luci", "sub": "", "aud": "models", "jti": "1", "access": access, **times}
        signed = f"{_coded(json.dumps(head).encode())}.{_coded(json.dumps(claims).encode())}"
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@dataclass(frozen=True)
class DockerRegistry:
    """A running docker-registry; `signer` opens it for us when it asks for tokens."""

    address: str
    signer: Signer | None = field(repr=False)

    def push(self, repository: str, tag: str, *layers: tuple[str, bytes]) -> bytes:
        """A model of these layers: media type and bytes. Returns: its manifest."""
        for _, data in [*layers, ("", b"{}")]:
            place = self._send("POST", repository, f"{self.address}/v2/{repository}/blobs/uploads/", b"")
            self._send("PUT", repository, f"{place}&digest={digest_of(data)}", data)
        body = manifest([layer(kind, data) for kind, data in layers])
        self._send("PUT", repository, f"{self.address}/v2/{repository}/manifests/{tag}", body, MANIFEST)
        return body

    def push_index(self, repository: str, tag: str, *entries: Mapping[str, object]) -> None:
        """An index of manifests that were pushed before; `index_entry` makes its entries."""
        body = index(*entries)
        self._send("PUT", repository, f"{self.address}/v2/{repository}/manifests/{tag}", body, INDEX)

    def _send(self, method: str, repository: str, url: str, body: bytes, kind: str = "application/octet-stream") -> str:
        """Returns: where the answer points to."""
        headers = {"Content-Type": kind}
        if self.signer:
            headers["Authorization"] = f"Bearer {self.signer.token(repository, ('pull', 'push'))}"
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers["Location"])


@contextmanager
def docker_registry(here: Path, realm: str | None = None) -> Iterator[DockerRegistry]:
    """`here` is a new folder for its data; `realm` is where it sends strangers for a token."""
    program = need("docker-registry")
    here.mkdir()
    signer = Signer() if realm else None
    if signer:
        (here / "issuer.pem").write_bytes(signer.certificate)
    port = free_port()
    config = CONFIG.format(here=here, port=port) + (AUTH.format(here=here, realm=realm) if realm else "")
    (here / "config.yml").write_text(config)
    command = [program, "serve", str(here / "config.yml")]
    with (here / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: process.poll() is not None or accepts(port))
            assert process.poll() is None, (here / "log").read_text()
            yield DockerRegistry(f"http://127.0.0.1:{port}", signer)
        finally:
            process.terminate()


def scope_of(query: Mapping[str, list[str]]) -> tuple[str, tuple[str, ...]]:
    """Repository and actions that a request for a token asks for."""
    _, repository, actions = query["scope"][0].split(":")
    return repository, tuple(actions.split(","))


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
