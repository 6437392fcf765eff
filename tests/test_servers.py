"""The faulty server is honest where it says so, and fails as it says."""

from __future__ import annotations

import http.client
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme
import urllib3

from luci_dl.cli.demo_gguf import make_gguf
from tests.nginx import nginx
from tests.procs import wait_until
from tests.servers import FaultyServer, faults
from tests.tools import need

DATA = make_gguf(300_000)


@contextmanager
def asked(url: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    """The open answer to a GET, by a client that hides nothing."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as connection:
        connection.request("GET", parts.path, headers=dict(headers or {}))
        with connection.getresponse() as response:
            yield response


def curl(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("curl"), "-sS", *args], capture_output=True, text=True, timeout=30)


def test_curl_gets_the_very_bytes(server: FaultyServer, tmp_path: Path) -> None:
    url = server.serve("/m.gguf", DATA)
    assert curl("-o", tmp_path / "m", url).returncode == 0
    assert (tmp_path / "m").read_bytes() == DATA
    assert server.sent("/m.gguf") == len(DATA)


def test_curl_resumes_after_a_cut(server: FaultyServer, tmp_path: Path) -> None:
    url = server.serve("/m.gguf", DATA, faults=[faults.cut(after=1000), faults.ok()])
    assert curl("-o", tmp_path / "m", url).returncode == 18  # partial file
    assert (tmp_path / "m").stat().st_size == 1000
    assert curl("-C", "-", "-o", tmp_path / "m", url).returncode == 0
    assert (tmp_path / "m").read_bytes() == DATA
    assert [exchange.sent for exchange in server.exchanges()] == [1000, len(DATA) - 1000]


def test_tls_is_trusted_by_its_own_authority_alone(tls_server: FaultyServer, ca_file: Path, tmp_path: Path) -> None:
    url = tls_server.serve("/m.gguf", DATA)
    assert curl("-o", tmp_path / "m", url).returncode == 60  # certificate not trusted
    assert curl("--cacert", ca_file, "-o", tmp_path / "m", url).returncode == 0
    assert (tmp_path / "m").read_bytes() == DATA


@pytest.mark.parametrize(
    ("asks", "status", "content_range", "body"),
    [
        ("bytes=0-0", 206, "bytes 0-0/300000", DATA[:1]),
        ("bytes=100-199", 206, "bytes 100-199/300000", DATA[100:200]),
        ("bytes=299990-", 206, "bytes 299990-299999/300000", DATA[-10:]),
        ("bytes=-10", 206, "bytes 299990-299999/300000", DATA[-10:]),
        ("bytes=299990-400000", 206, "bytes 299990-299999/300000", DATA[-10:]),
        ("bytes=300000-", 416, "bytes */300000", b""),
        ("bytes=-0", 416, "bytes */300000", b""),
        ("bytes=5-4", 200, None, DATA),
        ("bytes=-", 200, None, DATA),
        ("bytes=0-1,5-6", 200, None, DATA),
    ],
)
def test_ranges_follow_the_standard(
    server: FaultyServer, asks: str, status: int, content_range: str | None, body: bytes
) -> None:
    with asked(server.serve("/m.gguf", DATA), {"Range": asks}) as response:
        assert (response.status, response.headers["Content-Range"], response.read()) == (status, content_range, body)


@pytest.mark.parametrize(("fault", "status"), [(faults.ok(), 206), (faults.weak_etag(), 200), (faults.no_etag(), 200)])
def test_if_range_needs_a_strong_etag_that_matches(server: FaultyServer, fault: faults.Fault, status: int) -> None:
    url = server.serve("/m.gguf", DATA, faults=[fault])
    with asked(url) as response:
        etag = response.headers["ETag"] or '"none"'
    for wanted, expected in ((etag, status), ('"another"', 200)):
        with asked(url, {"Range": "bytes=10-", "If-Range": wanted}) as response:
            assert response.status == expected


def test_if_range_tells_a_changed_file(server: FaultyServer) -> None:
    url = server.serve("/m.gguf", DATA, faults=[faults.ok(), faults.changed(b"new")])
    with asked(url) as response:
        etag = response.headers["ETag"]
    with asked(url, {"Range": "bytes=10-", "If-Range": etag}) as response:
        assert (response.status, response.read()) == (200, b"new")
        assert response.headers["ETag"] != etag


def test_one_connection_answers_many_requests(server: FaultyServer) -> None:
    url = server.serve("/m.gguf", DATA)
    with urllib3.PoolManager() as pool:
        bodies = [pool.request("GET", url, retries=False).data for _ in range(3)]
        assert bodies == [DATA] * 3
        assert pool.connection_from_url(url).num_connections == 1
    assert server.sent() == 3 * len(DATA)


def test_faults_are_taken_one_per_request_and_the_last_one_stays(server: FaultyServer) -> None:
    url = server.serve("/m.gguf", DATA, faults=[faults.status(429, retry_after=7), faults.status(503), faults.ok()])
    seen = []
    for _ in range(4):
        with asked(url) as response:
            seen.append((response.status, response.headers["Retry-After"]))
    assert seen == [(429, "7"), (503, None), (200, None), (200, None)]


@pytest.mark.parametrize("cut", [faults.cut(1000), faults.chunked() + faults.cut(1000), faults.announce(+5)])
def test_a_cut_body_is_short(server: FaultyServer, cut: faults.Fault) -> None:
    with (
        asked(server.serve("/m.gguf", DATA[:2000], faults=[cut])) as response,
        pytest.raises(http.client.IncompleteRead),
    ):
        response.read()


def test_a_cut_can_be_a_reset(server: FaultyServer) -> None:
    with (
        asked(server.serve("/m.gguf", DATA, faults=[faults.cut(1000, reset=True)])) as response,
        pytest.raises(ConnectionResetError),
    ):
        response.read()


@pytest.mark.parametrize("framing", [faults.chunked(), faults.close_delimited()])
def test_a_body_without_length_is_whole(server: FaultyServer, framing: faults.Fault) -> None:
    with asked(server.serve("/m.gguf", DATA, faults=[framing])) as response:
        assert response.headers["Content-Length"] is None
        assert response.read() == DATA


def test_a_stall_lasts_until_the_release(server: FaultyServer) -> None:
    with asked(server.serve("/m.gguf", DATA, faults=[faults.stall(1000)])) as response:
        assert response.read(1000) == DATA[:1000]
        assert server.stalled.wait(10)
        assert server.sent() == 1000
        server.release()
        assert response.read() == DATA[1000:]


@pytest.mark.parametrize("fault", [faults.stall(1000), faults.stall_head(), faults.trickle(10), faults.endless()])
@pytest.mark.parametrize("secure", [False, True])
def test_close_ends_whatever_still_runs(
    server: FaultyServer, tls_server: FaultyServer, fault: faults.Fault, secure: bool
) -> None:
    chosen = tls_server if secure else server
    url = chosen.serve("/m.gguf", DATA, faults=[fault])
    client = subprocess.Popen([need("curl"), "-sk", url], stdout=subprocess.DEVNULL)
    wait_until(chosen.exchanges)
    began = time.monotonic()
    chosen.close()
    assert time.monotonic() - began < 5
    assert client.wait(10) != 0


def test_faults_add_up(server: FaultyServer) -> None:
    url = server.serve("/m.gguf", DATA, faults=[faults.flipped(at=5) + faults.weak_etag() + faults.headers(X_A="b")])
    with asked(url) as response:
        assert (response.headers["X-A"], response.headers["ETag"][:2]) == ("b", "W/")
        body = response.read()
    assert [at for at in range(len(DATA)) if body[at] != DATA[at]] == [5]


def test_a_range_may_be_ignored_or_be_another(server: FaultyServer) -> None:
    lies = [faults.no_ranges(), faults.wrong_range(shift=1), faults.wrong_range(total=7), faults.wrong_range(total="*")]
    url = server.serve("/m.gguf", DATA, faults=lies)
    said = []
    for _ in lies:
        with asked(url, {"Range": "bytes=10-19"}) as response:
            said.append((response.status, response.headers["Content-Range"]))
    assert said == [(200, None), (206, "bytes 11-20/300000"), (206, "bytes 10-19/7"), (206, "bytes 10-19/*")]


def test_the_length_may_be_another(server: FaultyServer) -> None:
    url = server.serve("/m.gguf", DATA, faults=[faults.longer(9), faults.shorter(9), faults.announce(-9)])
    for length in (len(DATA) + 9, len(DATA) - 9, len(DATA) - 9):
        with asked(url) as response:
            assert response.headers["Content-Length"] == str(length)
            assert len(response.read()) == length


def test_a_hub_answers_with_digest_and_size_before_the_redirect(server: FaultyServer) -> None:
    there = server.serve("/blob", DATA)
    url = server.serve("/o/r/resolve/main/m.gguf", faults=[faults.hub_redirect(there, DATA)])
    with asked(url) as response:
        assert response.status == 302
        assert response.headers["X-Linked-Size"] == str(len(DATA))
        assert len(response.headers["X-Linked-Etag"]) == 66
        assert response.headers["Location"] == there


def test_other_answers_are_what_they_are_called(server: FaultyServer) -> None:
    page = server.serve("/page", faults=[faults.login_page()])
    with asked(page) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
    noise = server.serve("/noise", faults=[faults.garbage()])
    with pytest.raises(http.client.BadStatusLine), asked(noise):
        pass
    huge = server.serve("/huge", faults=[faults.huge_headers()])
    with pytest.raises(http.client.LineTooLong), asked(huge):
        pass
    packed = server.serve("/packed", DATA, faults=[faults.gzipped()])
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", packed).data == DATA


@pytest.mark.parametrize("secure", [False, True])
def test_nginx_serves_ranges(tmp_path: Path, ca: trustme.CA, ca_file: Path, secure: bool) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "m.gguf").write_bytes(DATA)
    with nginx(tmp_path / "served", tmp_path / "nginx", tls=ca if secure else None, limit_rate="10m") as real:
        assert curl("--cacert", ca_file, "-r", "5-", "-o", tmp_path / "m", real.url("/m.gguf")).returncode == 0
        wait_until(lambda: real.sent() == len(DATA) - 5)
    assert (tmp_path / "m").read_bytes() == DATA[5:]


def test_gguf_is_valid_and_of_the_size_asked() -> None:
    """Read back by the words of the format: header, three values, one tensor that ends with the file."""
    for size in (256, 257, 1_000_003):
        data = make_gguf(size)
        assert len(data) == size
        assert data[:24] == b"GGUF" + (3).to_bytes(4, "little") + (1).to_bytes(8, "little") + (3).to_bytes(8, "little")
        after_name = data.index(b"noise") + len(b"noise")
        dimensions = int.from_bytes(data[after_name : after_name + 4], "little")
        length = int.from_bytes(data[after_name + 4 : after_name + 12], "little")
        assert (dimensions, size - length) == (1, (after_name + 24 + 31) // 32 * 32)
    assert make_gguf(1000) == make_gguf(1000)
    assert make_gguf(1000) != make_gguf(1000, seed=1)
    with pytest.raises(ValueError, match="more than"):
        make_gguf(100)
