"""The real nginx in front of the real `luci serve`, by the configuration that luci prints."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import assert_refused
from tests.nginx import free_port, running, write_certificate
from tests.ollama_pull import pull
from tests.procs import luci
from tests.serve.running import ask, serving
from tests.servers import FaultyServer, faults
from tests.servers.hub import Hub
from tests.servers.registry import MODEL, TEMPLATE, Registry, digest_of

DATA = make_gguf(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = f"/luci/v1/files/{SHA256}"


@pytest.fixture
def tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@contextmanager
def in_front(serve: str, here: Path, ca: trustme.CA | None = None) -> Iterator[str]:
    """nginx before the `luci serve` at that address, with the models folder `shelf` in `here`. Yields: its address."""
    port, options = free_port(), list[str | Path]()
    folder = here / f"nginx-{port}"
    folder.mkdir()
    if ca:
        write_certificate(ca, folder)
        options = ["--tls-cert", folder / "chain.pem", "--tls-key", folder / "key.pem"]
    printed = luci("serve", "--print-nginx", "--bind", urlsplit(serve).netloc, "--dir", here / "shelf", *options)
    assert printed.returncode == 0, printed.stderr
    usual, own = (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;") if ca else ("listen 80;", f"listen 127.0.0.1:{port};")
    )
    assert printed.stdout.count(usual) == 1
    servers = printed.stdout.replace(usual, own)
    with running(servers, folder):
        yield f"{'https' if ca else 'http'}://127.0.0.1:{port}"


def put(shelf: Path, server: FaultyServer, name: str = "m.gguf") -> None:
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={SHA256}", folder=shelf, output=name)


def test_nginx_sends_what_is_verified(
    server: FaultyServer, tmp_path: Path, ca: trustme.CA, tls: ssl.SSLContext
) -> None:
    """Whole, in ranges and as HEAD, with luci's own headers; luci sends none of its bytes."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shelf").symlink_to(tmp_path / "elsewhere")
    put(tmp_path / "shelf", server, "100% a b%20c#?.gguf")
    with serving(tmp_path, env={}) as serve, in_front(serve, tmp_path, ca) as front:
        straight, proxied = ask(serve, FILE), ask(front, FILE, tls=tls)
        assert proxied[0] == straight[0] == 200
        assert proxied[2] == straight[2] == DATA
        assert {name: proxied[1].get(name) for name in ("etag", "accept-ranges", "content-length", "content-type")} == {
            "etag": straight[1]["etag"],
            "accept-ranges": "bytes",
            "content-length": str(len(DATA)),
            "content-type": "application/octet-stream",
        }
        status, headers, body = ask(front, FILE, tls=tls, Range="bytes=5-9")
        assert (status, headers["content-range"], body) == (206, f"bytes 5-9/{len(DATA)}", DATA[5:10])
        assert ask(front, FILE, tls=tls, Range=f"bytes={len(DATA)}-")[0] == 416
        same = {"Range": "bytes=5-9", "If_Range": headers["etag"]}
        assert ask(front, FILE, tls=tls, **same)[::2] == (206, DATA[5:10])
        assert ask(front, FILE, tls=tls, Range="bytes=5-9", If_Range='"other"')[::2] == (200, DATA)
        status, headers, body = ask(front, FILE, "HEAD", tls=tls)
        assert (status, headers["content-length"], headers["etag"], body) == (
            200,
            str(len(DATA)),
            straight[1]["etag"],
            b"",
        )
        by_luci = ask(serve, FILE, X_Forwarded_For="10.0.0.9", X_Luci_Accel="/luci-files/")
        assert (by_luci[1]["x-accel-redirect"][:12], by_luci[2]) == ("/luci-files/", b"")


def test_no_file_is_reached_by_its_name(server: FaultyServer, tmp_path: Path) -> None:
    """Neither in nginx's own folder, nor by a header of the client."""
    put(tmp_path / "shelf", server)
    with serving(tmp_path, env={}) as serve, in_front(serve, tmp_path) as front:
        for path in ("/luci-files/m.gguf", "/luci-files/", "/luci-files/../etc/passwd", "/luci-files/.luci/", "//x"):
            assert ask(front, path)[0] == 404, path
        status, headers, body = ask(front, FILE, X_Luci_Accel="/nowhere/", X_Forwarded_For="127.0.0.1")
        assert (status, body) == (200, DATA)
        assert "x-accel-redirect" not in headers


def test_a_file_is_sent_on_while_it_comes(tmp_path: Path) -> None:
    """Its beginning arrives before its end is there."""
    with Registry() as registry:
        registry.push("library/m", "latest", (TEMPLATE, b"x"), (MODEL, DATA))
        registry.on_blob = [faults.ok(), faults.stall(2_000_000)]
        path, env = f"/v2/library/m/blobs/{digest_of(DATA)}", {"OLLAMA_REGISTRY": registry.address}
        with serving(tmp_path, env=env) as serve, in_front(serve, tmp_path) as front:
            assert ask(front, "/v2/library/m/manifests/latest")[0] == 200
            assert ask(front, f"/v2/library/m/blobs/{digest_of(b'x')}")[2] == b"x"
            assert ask(front, path, Range="bytes=0-999999")[::2] == (206, DATA[:1_000_000])


def test_the_page_is_live_through_nginx(tmp_path: Path) -> None:
    """Its events come at once."""
    with serving(tmp_path, env={}) as serve, in_front(serve, tmp_path) as front:
        connection = http.client.HTTPConnection(urlsplit(front).netloc, timeout=10)
        connection.request("GET", "/luci/v1/events")
        assert connection.getresponse().readline().startswith(b"event: status")
        connection.close()
        assert ask(front, "/")[0] == 200


def test_ollama_pulls_through_nginx(tmp_path: Path) -> None:
    """Cold and warm, in parts."""
    with Registry() as registry:
        registry.push("library/m", "latest", (TEMPLATE, b"x"), (MODEL, DATA))
        with serving(tmp_path, env={"OLLAMA_REGISTRY": registry.address}) as serve, in_front(serve, tmp_path) as front:
            for name in ("cold", "warm"):
                pull(tmp_path / name, front, "library/m", least=100_000)


def test_wrong_bytes_are_cut_by_nginx_too(tmp_path: Path) -> None:
    """No client has a whole wrong file."""
    with Registry() as registry:
        registry.push("library/m", "latest", (TEMPLATE, b"x"), (MODEL, DATA))
        registry.on_blob = [faults.flipped(2_900_000)]
        with serving(tmp_path, env={"OLLAMA_REGISTRY": registry.address}) as serve, in_front(serve, tmp_path) as front:
            ask(front, "/v2/library/m/manifests/latest")
            status, _, body = ask(front, f"/v2/library/m/blobs/{digest_of(DATA)}")
    assert status == 502 or len(body) < len(DATA)


def test_a_gated_model_needs_tls_behind_nginx_too(tmp_path: Path, ca: trustme.CA, tls: ssl.SSLContext) -> None:
    """Whatever the client says of itself; over TLS nginx sends it to who may have it."""
    with Hub() as hub:
        hub.add("o/r", {"m.gguf": DATA}, gated=True)
        hub.tokens.add("good")
        env = {"HF_ENDPOINT": hub.endpoint}
        installed = luci("install", "hf:o/r/m.gguf", "--dir", tmp_path / "shelf", env={**env, "HF_TOKEN": "good"})
        assert installed.returncode == 0, installed.stderr
        (receipt,) = (tmp_path / "shelf/.luci").rglob("*.receipt")
        receipt.write_text(json.dumps(json.loads(receipt.read_text()) | {"access": "gated"}))
        lies = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "127.0.0.1"}
        with serving(tmp_path, "--only-installed", env=env) as serve:
            with in_front(serve, tmp_path) as front:
                status, _, body = ask(front, FILE, tls=None, Authorization="Bearer good", **lies)
                assert (status, json.loads(body)["error"]) == (403, "gated")
            with in_front(serve, tmp_path, ca) as front:
                assert ask(front, FILE, tls=tls)[0] == 401
                assert ask(front, FILE, tls=tls, Authorization="Bearer bad")[0] == 403
                assert ask(front, FILE, tls=tls, Authorization="Bearer good")[::2] == (200, DATA)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bind", ":8480"], "only this machine reaches"),
        (["--bind", "192.168.1.5:8480"], "192.168.1.5"),
        (["--dir", "/models/a$b"], "cannot name"),
        (["--tls-cert", "/chain.pem"], "--tls-key"),
    ],
)
def test_what_cannot_be_put_behind_nginx_is_refused(options: list[str], said: str) -> None:
    """With what is wrong; nothing is printed."""
    assert_refused(luci("serve", "--print-nginx", *options), 2, said)
