"""`luci serve` as a process and as a server: what it refuses, how it ends, what survives a kill."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.serve import desk, pulls, server
from luci_dl.serve.suspects import SUSPECT_S, Suspects
from tests.disk.hands import digest_of
from tests.nginx import free_port
from tests.procs import Code, Spawned, luci, wait_until
from tests.serve.lab import Lab, installed_names, open_hub, unfinished
from tests.servers.hub import Hub
from tests.tools import need

DATA = make_gguf(12_000_000)
WRONG = DATA[:9_000_000] + b"x" + DATA[9_000_001:]
NAME = "tiny-Q4_K_M.gguf"
FILE = f"/me/tiny/resolve/main/{NAME}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with open_hub(monkeypatch) as hub:
        hub.add("me/tiny", {NAME: DATA})
        yield hub


def serving(port: int, models: Path, *more: str) -> Spawned:
    home = {"LUCI_HOME": str(models.parent / "server")}
    return Spawned("serve", "--bind", f"127.0.0.1:{port}", "--dir", models, *more, env=home)


def store_bytes(hub: Hub) -> int:
    """How often the store was asked for the file."""
    return len([seen for seen in hub.seen("store") if seen.method == "GET"])


def leave_early(lab: Lab) -> None:
    """A client that takes the beginning of the file only."""
    with closing(http.client.HTTPConnection(lab.address.partition("//")[2], timeout=20)) as client:
        client.request("GET", FILE)
        with client.getresponse() as response:
            assert response.read(100_000)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_what_is_proved_stays(hub: Hub, models: Path, signum: signal.Signals) -> None:
    """With a client connected, and its file half fetched; the process dies of the signal."""
    hub.rate, where = 4e6, free_port()
    with serving(where, models) as run:
        run.wait_for("Serving")
        client = http.client.HTTPConnection("127.0.0.1", where, timeout=20)
        client.request("GET", FILE)
        response = client.getresponse()
        assert len(response.read(3_000_000)) == 3_000_000
        began = time.monotonic()
        run.process.send_signal(signum)
        assert run.wait() == -signum
        assert time.monotonic() - began < 5
        with response, pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        client.close()
    assert unfinished(models) == [f"{NAME}.journal", f"{NAME}.part"]
    assert installed_names(models) == []


def test_a_kill_costs_little_of_the_uplink_and_no_client(hub: Hub, models: Path, tmp_path: Path) -> None:
    """What was fetched before it counts; luci's own client waits for the server to come back."""
    hub.rate, where = 4e6, free_port()
    env = {"LUCI_LAN": f"http://127.0.0.1:{where}", "LUCI_HOME": str(tmp_path / "client")}
    with serving(where, models) as server:
        server.wait_for("Serving")
        with Spawned("install", f"hf:me/tiny/{NAME}", env=env) as client:
            part = f"pulled/{digest_of(DATA)[:16]}/{NAME}.part"
            wait_until(lambda: (models / ".luci" / part).exists(), what="the part")
            time.sleep(1.5)  # a line of the journal is written each second
            server.process.send_signal(signal.SIGKILL)
            server.wait()
            with serving(where, models) as again:
                again.wait_for("Serving")
                hub.release.set()
                assert client.wait() == 0, client.err
    ranges = [seen.headers["range"] for seen in hub.seen("store") if "range" in seen.headers]
    assert max(int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges) > 1_000_000
    assert (tmp_path / "client/models/me/tiny" / NAME).read_bytes() == DATA
    assert all(seen.headers.get("user-agent", "").startswith("luci") for seen in hub.seen("store"))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_client_that_continues_after_wrong_bytes_never_ends_with_a_wrong_file(
    hub: Hub, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """Also after a restart: what it has is of the wrong attempt, and it checks nothing."""
    monkeypatch.setattr(pulls, "WRONG_S", 0.1)
    hub.repos["me/tiny"].swapped[NAME] = WRONG
    hub.rate = 10e6
    curl, target = need("curl"), tmp_path / NAME

    def fetch(lab: Lab) -> int:
        words = [curl, "-sS", "--fail", "-C", "-", "-o", str(target), lab.address + FILE]
        return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode

    with Lab(monkeypatch, models) as lab:
        assert fetch(lab) != 0
        assert 0 < target.stat().st_size < len(DATA)
        wait_until(lambda: unfinished(models) == [], what="the part to be removed")
        hub.repos["me/tiny"].swapped.clear()
        if not restarted:
            fetch(lab)
    if restarted:
        with Lab(monkeypatch, models) as lab:
            fetch(lab)
    assert target.read_bytes() in (DATA, DATA[: target.stat().st_size], WRONG[: target.stat().st_size])
    assert target.read_bytes() == DATA or target.stat().st_size < len(DATA)


def test_what_came_wrong_once_is_another_version_then(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range is answered with the whole, and the old ETag does not hold, also after a restart."""
    monkeypatch.setattr(pulls, "WRONG_S", 0.1)
    hub.repos["me/tiny"].swapped[NAME] = WRONG
    hub.rate = 8_000_000  # some bytes go out before all are known to be wrong
    with Lab(monkeypatch, models) as lab:
        before = lab.ask("HEAD", FILE).headers["ETag"]
        with pytest.raises(http.client.IncompleteRead):
            lab.get(FILE)
        assert lab.get(FILE).status == 502
        wait_until(lambda: unfinished(models) == [], what="the part to be removed")
    hub.repos["me/tiny"].swapped.clear()
    hub.rate = None
    for _ in range(2):
        with Lab(monkeypatch, models) as lab:
            again = lab.get(FILE, Range="bytes=5000000-")
            assert (again.status, again.body == DATA) == (200, True)
            assert lab.get(FILE, Range="bytes=5000000-", If_Range=before).status == 200
            proved = lab.get(FILE, Range="bytes=5000000-", If_Range=lab.ask("HEAD", FILE).headers["ETag"])
            assert (proved.status, proved.body == DATA[5_000_000:]) == (206, True)
            assert again.headers["X-Linked-Etag"] == f'"{digest_of(DATA)}"'


def test_suspects_are_remembered_for_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file; a damaged one counts as none."""
    path = tmp_path / "home" / "suspects.json"
    suspects = Suspects(path)
    assert suspects.mark("a") == ""
    suspects.add("a")
    assert Suspects(path).mark("a") == suspects.mark("a") != ""
    later = time.time() + SUSPECT_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert Suspects(path).mark("a") == ""
    suspects.add("b")
    assert list(json.loads(path.read_text())) == ["b"]
    for text in ("[", "[]", '{"a": "b"}'):
        path.write_text(text)
        assert Suspects(path).mark("a") == ""


def test_an_upstream_that_is_wrong_is_asked_once_for_many(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks again within a minute gets the same word, which a client can tell from a bad line."""
    hub.repos["me/tiny"].swapped[NAME] = WRONG
    with Lab(monkeypatch, models) as lab:
        with suppress(http.client.IncompleteRead):  # unless it was over before the first byte went out
            assert lab.get(FILE).status == 502
        wait_until(lambda: unfinished(models) == [], what="the part to be removed")
        asked = store_bytes(hub)
        refused = [lab.get(FILE) for _ in range(3)]
        assert {(each.status, each.json["error"]) for each in refused} == {(502, "upstream_wrong")}
        assert store_bytes(hub) == asked


def test_limits(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota, what may be fetched, and a server that fetches nothing: each says so, and fetches nothing."""
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"quota": 1_000_000}, 507, "no_room"),
        ({"allow": ["you/*"]}, 403, "not_allowed"),
        ({"pull": False}, 403, "not_allowed"),
    ]
    for options, status, error in refusals:
        with Lab(monkeypatch, models, **options) as lab:
            answer = lab.get(FILE)
            assert (answer.status, answer.json["error"]) == (status, error)
            assert answer.json["message"]
    assert store_bytes(hub) == 0
    with Lab(monkeypatch, models, allow=["you/*", "me/*"], quota=20_000_000) as lab:
        assert lab.get(FILE).body == DATA
    with Lab(monkeypatch, models, pull=False) as lab:
        assert lab.get(FILE).body == DATA
        assert lab.get(f"/luci/v1/files/{digest_of(DATA)}").body == DATA
        assert lab.get(f"/luci/v1/files/{'0' * 64}").status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    with Lab(monkeypatch, models) as lab:
        for path in ("/", FILE, "/luci/v1/status", "/api/models/me/tiny", "/../../etc/passwd", "/models/x"):
            assert lab.ask(method, path).status in (403, 404, 405), path


@pytest.mark.parametrize(
    "path", ["/..", "/models", "/.luci", "/me/tiny", "/me/tiny/resolve/main/..%2f..%2fx", "/etc/passwd"]
)
def test_no_folder_is_listed_and_no_path_leaves_it(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    with Lab(monkeypatch, models) as lab:
        assert lab.get(path).status in (400, 404)


def test_a_fetch_goes_on_for_a_time_without_its_client(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it stops, and the next client has what is there at once."""
    monkeypatch.setattr(pulls, "LINGER_S", 0.5)
    hub.rate = 0.5e6
    with Lab(monkeypatch, models) as lab:
        leave_early(lab)
        wait_until(lambda: lab.get("/luci/v1/status").json["fetching"], what="the fetch to be shown")
        wait_until(lambda: not lab.get("/luci/v1/status").json["fetching"], what="the fetch to stop")
        assert unfinished(models) == [f"{NAME}.journal", f"{NAME}.part"]
        hub.rate = None
        assert lab.get(FILE).body == DATA
    assert unfinished(models) == []
    assert installed_names(models) == [NAME]


def test_what_stopped_makes_room(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or clients that come and leave could fill the disk, or the quota. A finished file stays."""
    monkeypatch.setattr(pulls, "LINGER_S", 0.1)
    hub.add("me/other", {NAME: make_gguf(12_000_000, seed=2)})
    hub.rate = 0.5e6
    with Lab(monkeypatch, models, quota=20_000_000) as lab:
        leave_early(lab)
        wait_until(lambda: not lab.get("/luci/v1/status").json["fetching"], what="the fetch to stop")
        assert unfinished(models)
        hub.rate = None
        assert lab.get(FILE.replace("me/tiny", "me/other")).status == 200
        assert unfinished(models) == []
        refused = lab.get(FILE)
        assert (refused.status, refused.json["error"]) == (507, "no_room")


def test_two_at_once_do_not_pass_the_quota(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each counts for the other, however long it takes to count."""
    stored = desk.Desk.stored

    def slow(self: desk.Desk, but: Collection[str], at_most: int) -> int:
        found = stored(self, but, at_most)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(desk.Desk, "stored", slow)
    names = [f"me/m{number}" for number in range(6)]
    for number, name in enumerate(names):
        hub.add(name, {NAME: make_gguf(3_000_000, seed=number)})
    with Lab(monkeypatch, models, quota=7_000_000) as lab, ThreadPoolExecutor(len(names)) as clients:
        found = [*clients.map(lambda name: lab.get(FILE.replace("me/tiny", name)).status, names)]
    assert sorted(found) == [200, 200, 507, 507, 507, 507]


def test_one_client_cannot_take_all_turns(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to come back while others are answered."""
    monkeypatch.setattr(server, "MAX_REQUESTS_EACH", 2)
    with Lab(monkeypatch, models) as lab:
        waiting = []
        for _ in range(2):
            client = http.client.HTTPConnection(lab.address.partition("//")[2], timeout=20)
            client.request("GET", "/luci/v1/events")
            waiting.append((client, client.getresponse()))
        refused = lab.get("/luci/v1/status")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert lab.get("/luci/v1/status", X_Forwarded_For="10.0.0.9").status == 200
        for client, response in waiting:
            response.close()
            client.close()
        wait_until(lambda: lab.get("/luci/v1/status").status == 200)


def test_questions_do_not_pile_up(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each about another revision, to a Hub that says nothing; clients that leave make no room for more."""
    monkeypatch.setattr(desk, "MAX_QUESTIONS", 3)

    def status_of(number: int) -> int | None:
        with closing(http.client.HTTPConnection(lab.address.partition("//")[2], timeout=0.5)) as client:
            client.request("GET", FILE.replace("main", f"main{number}"))
            with suppress(TimeoutError), client.getresponse() as response:
                return response.status
        return None

    with Lab(monkeypatch, models) as lab:
        hub.stall = True
        assert [status_of(number) for number in range(4)] == [None, None, None, 503]
        hub.stall = False
        hub.release.set()
        wait_until(lambda: lab.get(FILE).status == 200)


@pytest.mark.parametrize(
    ("site", "destination", "status"),
    [("cross-site", "image", 403), ("cross-site", "iframe", 403), ("cross-site", "document", 200), ("none", "", 200)],
)
def test_pages_of_other_sites_may_only_link_to_it(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch, site: str, destination: str, status: int
) -> None:
    """Or any page that is open in a browser here could let it fetch."""
    with Lab(monkeypatch, models) as lab:
        assert lab.get(FILE, Sec_Fetch_Site=site, Sec_Fetch_Dest=destination).status == status


def test_a_range_of_many_digits_is_none(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered with the whole."""
    with Lab(monkeypatch, models) as lab:
        answer = lab.get(FILE, Range=f"bytes={'9' * 5000}-")
        assert (answer.status, answer.body) == (200, DATA)


def test_many_clients_cost_one_copy(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever name they ask."""
    hub.add("me/same", {"other.gguf": DATA})
    hub.rate = 20e6
    bodies: list[bytes] = []
    with Lab(monkeypatch, models) as lab:
        paths = [FILE, "/me/same/resolve/main/other.gguf"] * 4
        threads = [threading.Thread(target=lambda path=path: bodies.append(lab.get(path).body)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)

        def totals() -> dict[str, int]:
            found: dict[str, int] = lab.get("/luci/v1/status").json["totals"]
            return found

        wait_until(lambda: totals()["wan_bytes"] >= len(DATA), what="all bytes to be counted")
        assert totals()["wan_bytes"] < 1.02 * len(DATA)
        assert totals()["lan_bytes"] == 8 * len(DATA)
    assert [body == DATA for body in bodies] == [True] * 8


def test_over_tls_a_gated_file_is_for_those_who_may_have_it(
    hub: Hub, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy on this machine, whose client is elsewhere, only where that says that it has TLS."""
    hub.repos["me/tiny"].gated = True
    hub.tokens.add("hf_good")
    with Lab(monkeypatch, models) as lab:
        good = {"Authorization": "Bearer hf_good"}
        assert lab.get(FILE).status == 401
        assert lab.get(FILE, Authorization="Bearer hf_bad").status == 403
        assert lab.get(FILE, **good, X_Forwarded_For="10.0.0.9").status == 403
        assert lab.get(FILE, **good, X_Forwarded_For="10.0.0.9", X_Forwarded_Proto="https").body == DATA
        assert lab.get(FILE, **good).body == DATA
        by_digest = f"/luci/v1/files/{digest_of(DATA)}"
        assert lab.get(by_digest).status == 401
        assert lab.get(by_digest, **good).body == DATA
        hub.gone = True
        assert lab.get(FILE, Authorization="Bearer hf_other").status == 504
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    with Lab(monkeypatch, models, certificate=(chain, key)) as lab:
        assert lab.address.startswith("https://")
        trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        with (
            pytest.raises(urllib.error.HTTPError) as refused,
            urllib.request.urlopen(lab.address + FILE, context=trusting),
        ):
            pass
        refused.value.close()
        assert refused.value.code in (401, 504)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--bind", "nowhere"], 2, "--bind: expected HOST:PORT, found nowhere"),
        (["--bind", "127.0.0.1:99999"], 2, "--bind: expected HOST:PORT"),
        (["--tls-cert", "x.pem"], 2, "--tls-key is missing"),
        (["--quota", "many"], 2, "--quota"),
        (["--limit-rate", "fast"], 2, "--limit-rate"),
    ],
)
def test_bad_options_are_explained(words: list[str], code: int, said: str) -> None:
    ended = luci("serve", *words)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr


def test_a_port_that_is_taken_is_named(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = taken.getsockname()[1]
        ended = luci("serve", "--bind", f"127.0.0.1:{where}", "--dir", str(models))
    assert ended.returncode == 4
    assert f"port {where}: Address already in use" in ended.stderr
    assert "another --bind" in ended.stderr


def test_without_the_extra_the_word_is_how_to_get_it() -> None:
    """And nothing else in luci asks for aiohttp."""
    missing = Code("import sys; sys.modules['aiohttp'] = None")
    with Spawned("serve", command=missing) as run:
        assert run.wait() == 2
        assert "luci serve needs aiohttp" in run.err
        assert "pip install 'luci-dl[serve]'" in run.err
    with Spawned("list", command=missing) as run:
        assert run.wait() == 0
