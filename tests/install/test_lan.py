"""Servers on the LAN: asked before the Hub, believed in nothing, left when they are silent, and asked again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import luci_dl
from luci_dl.disk import small_part
from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.events import Event, Retrying, Serving, Warned
from luci_dl.install import lan as lan_module
from luci_dl.model import Artifact
from luci_dl.net.network import Network
from luci_dl.plan import Options
from luci_dl.rate_limit import RateLimit
from luci_dl.sources import away
from luci_dl.sources.endpoints import Endpoints
from tests.cli.shop import DATA, OTHER, assert_nothing_left, sha256
from tests.procs import wait_until
from tests.servers import FaultyServer, faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub
from tests.servers.registry import Registry

REFERENCE, NAME = "hf:me/m/m.gguf", "me/m/m.gguf"
MODEL_LAYER = "application/vnd.ollama.image.model"
TEMPLATE_LAYER = "application/vnd.ollama.image.template"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("me/m", {"m.gguf": DATA})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan_module, "PATIENCE_S", 0.5)


class Lan(FaultyServer):
    """A server on the LAN with the files of a Hub."""

    def has(self, hub: Hub, *wrong: Fault, data: bytes = DATA) -> str:
        """Serve the file of `REFERENCE`, each request with the next of the faults. Returns: where."""
        target = f"/me/m/resolve/{hub.repos['me/m'].commit('main')}/m.gguf"
        self.serve(target, data, wrong)
        return target

    def install(self, *words: str, **more: object) -> list[Event]:
        """Install with this server as the LAN. Returns: the events."""
        events: list[Event] = []
        options = Options(lan=(self.url(""),), retries=0, **more)  # type: ignore[arg-type]
        luci_dl.install(*(words or [REFERENCE]), options=options, emit=events.append)
        return events


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan() as lan:
        yield lan


def served(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Host and reason of each change of server."""
    return [(event.host, event.reason) for event in events if isinstance(event, Serving)]


def host(server: FaultyServer | Hub) -> str:
    return (server.url("") if isinstance(server, FaultyServer) else server.endpoint).removeprefix("http://")


def assert_installed(home: Path, data: bytes = DATA) -> None:
    assert (home / "models" / NAME).read_bytes() == data
    assert_nothing_left(home / "models", "me/", "me/m/", NAME)


def test_the_hub_states_the_digest_and_the_lan_sends_the_bytes(hub: Hub, lan: Lan, home: Path) -> None:
    """Not one byte of the file comes over the uplink, and the user reads where it came from."""
    target = lan.has(hub)
    events = lan.install()
    assert_installed(home)
    assert not [seen for seen in hub.seen() if "resolve" in seen.target]
    assert [each.target for each in lan.exchanges()] == [target]
    assert served(events) == [(host(lan), "")]


def test_a_small_file_comes_from_there_too(hub: Hub, lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that only a git blob's digest proves."""
    monkeypatch.setattr(small_part, "SMALL", 1 << 20)
    hub.repos["me/m"].lfs_from = 1 << 30
    lan.has(hub)
    lan.install()
    assert_installed(home)
    assert not [seen for seen in hub.seen() if "resolve" in seen.target]


@pytest.mark.parametrize(
    "fault",
    [faults.stall_head(), faults.hangs_up(), faults.status(502), faults.status(503, retry_after=9)],
    ids=["silent", "reset", "502", "503"],
)
@pytest.mark.usefixtures("impatient")
def test_one_that_sends_nothing_is_left_after_five_seconds_in_all(hub: Hub, lan: Lan, home: Path, fault: Fault) -> None:
    """The Hub then sends all of it, whatever the retries, and the user reads why."""
    lan.has(hub, fault)
    began = time.monotonic()
    events = lan.install()
    assert 0.5 <= time.monotonic() - began < 4
    assert_installed(home)
    ((sender, reason),) = served(events)
    assert sender == host(hub)
    assert f"{host(lan)} has sent nothing for 0.5 s" in reason
    assert not [event for event in events if isinstance(event, Retrying)]


@pytest.mark.usefixtures("impatient")
def test_one_that_refuses_the_connection_is_left_too(hub: Hub, home: Path) -> None:
    """The reason is in the message."""
    with Lan() as gone:
        pass
    ((sender, reason),) = served(gone.install())
    assert_installed(home)
    assert sender == host(hub)
    assert "refused" in reason.lower()


@pytest.mark.usefixtures("impatient")
def test_a_file_that_breaks_off_is_continued_by_the_hub(hub: Hub, lan: Lan, home: Path) -> None:
    """From the bytes that are there."""
    lan.has(hub, faults.stall(200_000), faults.stall_head())
    events = lan.install()
    assert_installed(home)
    assert [sender for sender, _ in served(events)] == [host(lan), host(hub)]
    (asked,) = [seen for seen in hub.seen("store") if seen.method == "GET"]
    assert int(asked.headers["range"].removeprefix("bytes=").rstrip("-")) >= 150_000


def test_a_restart_is_waited_for(hub: Hub, lan: Lan, home: Path) -> None:
    """A few refusals within the patience cost no byte from the Hub."""
    target = lan.has(hub, faults.cut(100_000, reset=True), faults.hangs_up(), faults.status(503), faults.ok())
    lan.install()
    assert_installed(home)
    assert len(lan.exchanges(target)) >= 4
    assert not [seen for seen in hub.seen() if "resolve" in seen.target]


@pytest.mark.usefixtures("impatient")
def test_it_is_asked_again_beside_the_hub_and_takes_over(
    hub: Hub, lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the minute is over, and the first byte comes."""
    monkeypatch.setattr(lan_module, "AGAIN_S", 0.3)
    hub.rate = 50_000.0
    lan.has(hub, faults.stall_head(), faults.stall_head(), faults.ok())
    events = lan.install(connections=1)
    assert_installed(home)
    assert [sender for sender, _ in served(events)] == [host(hub), host(lan)]
    assert sum(exchange.sent for exchange in lan.exchanges()) < len(DATA)


@pytest.mark.usefixtures("impatient")
def test_the_next_file_does_not_wait_for_one_that_is_away(hub: Hub, lan: Lan, home: Path) -> None:
    """It begins at the Hub at once."""
    hub.add("me/n", {"n.gguf": OTHER})
    lan.has(hub, faults.stall_head())
    events = lan.install(REFERENCE, "hf:me/n/n.gguf", adopt=False)
    assert (home / "models" / "me/n/n.gguf").read_bytes() == OTHER
    assert len(served(events)) == 1
    assert len(lan.exchanges()) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.status(404), "404"),
        (faults.status(403), "403"),
        (faults.status(401), "401"),
        (
            faults.status(502, body=b'{"error": "upstream_wrong", "message": "The Hub sent wrong bytes."}'),
            "wrong bytes",
        ),
        (faults.status(504, body=b'{"error": "upstream_away", "message": "The Hub is away."}'), "The Hub is away"),
        (faults.status(507, body=b'{"error": "no_room", "message": "The disk is full."}'), "The disk is full"),
    ],
    ids=["404", "403", "401", "upstream_wrong", "upstream_away", "no_room"],
)
@pytest.mark.parametrize("begun", [False, True])
def test_one_that_says_why_not_is_left_at_once(
    hub: Hub, lan: Lan, home: Path, fault: Fault, words: str, begun: bool
) -> None:
    """Also in the middle; the user reads why, and it is not asked for that file again."""
    lan.has(hub, *([faults.cut(100_000)] if begun else []), fault)
    began = time.monotonic()
    events = lan.install()
    assert time.monotonic() - began < 4
    assert_installed(home)
    sender, reason = served(events)[-1]
    assert sender == host(hub)
    assert words in reason


def test_wrong_bytes_from_there_are_fetched_again_from_the_hub(hub: Hub, lan: Lan, home: Path) -> None:
    """The user reads who sent them, and it is not asked for the file again."""
    target = lan.has(hub, data=OTHER)
    events = lan.install()
    assert_installed(home)
    assert len(lan.exchanges(target)) == 1
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert any(f"{host(lan)} sent wrong bytes" in message for message in warnings), warnings


def test_wrong_bytes_from_both_are_refused(hub: Hub, lan: Lan, home: Path) -> None:
    """Nothing is installed."""
    lan.has(hub, data=OTHER)
    hub.repos["me/m"].swapped["m.gguf"] = OTHER
    with pytest.raises(IntegrityError):
        lan.install()
    assert_nothing_left(home / "models")


@pytest.mark.usefixtures("impatient")
def test_with_both_silent_the_bytes_stay_for_the_next_install(hub: Hub, lan: Lan, home: Path) -> None:
    """A failure of the network keeps the partial file, and the next install has it completed by the LAN."""
    lan.has(hub, faults.stall(200_000), faults.stall_head(), faults.ok())
    commit = hub.repos["me/m"].commit("main")
    hub.close()
    known = f"http://127.0.0.1:9/m.gguf#sha256={sha256(DATA)}"
    lan.serve(f"/luci/v1/files/{sha256(DATA)}", DATA, [faults.stall(200_000), faults.stall_head()])
    assert commit
    with pytest.raises(NetworkError):
        lan.install(known)
    assert (home / "models/.luci/m.gguf.part").exists()
    lan.serve(f"/luci/v1/files/{sha256(DATA)}", DATA)
    lan.install(known)
    assert (home / "models/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "m.gguf")


def test_a_slow_rate_limit_is_no_silence(hub: Hub, lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server waits for luci then."""
    monkeypatch.setattr(lan_module, "PATIENCE_S", 0.2)
    lan.has(hub)
    events = lan.install(limit_rate=RateLimit(300_000))
    assert_installed(home)
    assert served(events) == [(host(lan), "")]


def test_the_token_is_not_sent_in_plain_http(hub: Hub, lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gated file then comes from the Hub."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.tokens.add("secret")
    hub.repos["me/m"].gated = True
    lan.has(hub, faults.status(401))
    lan.install()
    assert_installed(home)
    assert not any("authorization" in exchange.headers for exchange in lan.exchanges())
    assert [seen for seen in hub.seen() if "resolve" in seen.target]


def test_the_token_is_sent_over_tls(
    hub: Hub, tls_server: FaultyServer, ca_file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a server whose certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.tokens.add("secret")
    target = f"/me/m/resolve/{hub.repos['me/m'].commit('main')}/m.gguf"
    tls_server.serve(target, DATA)
    luci_dl.install(REFERENCE, options=Options(lan=(tls_server.url(""),)))
    assert_installed(home)
    (asked,) = tls_server.exchanges(target)
    assert asked.headers["authorization"] == "Bearer secret"


def test_a_file_that_is_known_to_be_gated_is_asked_for_over_tls_alone() -> None:
    """A request that would be refused is not sent."""
    hub = "https://hub.example"
    artifact = Artifact("m.gguf", (f"{hub}/me/m/resolve/main/m.gguf",), sha256="a1" * 32, access="gated")
    plain, safe = (
        lan_module.Lan(Endpoints(hub, "secret", lan=(f"{way}://lab",)), Network()) for way in ("http", "https")
    )
    assert plain.offer(artifact) is None
    assert (offer := safe.offer(artifact))
    assert offer.artifact.urls == ("https://lab/me/m/resolve/main/m.gguf",)
    assert offer.artifact.headers == {"Authorization": "Bearer secret"}


def test_credentials_for_an_address_are_not_sent_there(server: FaultyServer, lan: Lan, home: Path) -> None:
    """A file at any other address is asked for by its digest alone."""
    url = server.serve("/m.gguf", DATA).replace("//", "//me:password@")
    lan.serve(f"/luci/v1/files/{sha256(DATA)}", DATA)
    lan.install(f"{url}#sha256={sha256(DATA)}")
    (asked,) = lan.exchanges()
    assert "authorization" not in asked.headers
    assert not server.exchanges()


def test_a_file_without_a_digest_is_not_asked_for(server: FaultyServer, lan: Lan, home: Path) -> None:
    """Nothing would prove what comes."""
    lan.install(server.serve("/m.gguf", DATA))
    assert (home / "models/m.gguf").read_bytes() == DATA
    assert not lan.exchanges()


def test_offline_asks_nobody(hub: Hub, lan: Lan, home: Path) -> None:
    """Not the LAN either."""
    lan.has(hub)
    with pytest.raises(NetworkError):
        lan.install(offline=True)
    assert not lan.exchanges()
    assert_nothing_left(home / "models")


def test_the_first_request_of_a_model_goes_to_the_lan(hub: Hub, lan: Lan, home: Path) -> None:
    """The head start, whose response the fetch takes."""
    target = lan.has(hub, faults.ok(), faults.status(500))
    lan.install()
    assert_installed(home)
    assert len(lan.exchanges(target)) == 1


# --- the Hub and the registry away


def lists(lan: Lan, hub: Hub) -> None:
    """Serve the Hub's documents."""
    commit = hub.repos["me/m"].commit("main")
    facts = {"id": "me/m", "sha": commit}
    lan.serve("/api/models/me/m/revision/main", json.dumps(facts).encode())
    entry = {"type": "file", "path": "m.gguf", "size": len(DATA), "oid": "f" * 40}
    entry["lfs"] = {"oid": sha256(DATA), "size": len(DATA)}
    lan.serve(f"/api/models/me/m/tree/{commit}", json.dumps([entry]).encode())


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_with_the_hub_away_the_word_of_the_lan_counts(
    hub: Hub, lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """And luci says so."""
    monkeypatch.setattr(away, "AWAY_S", 0.5)
    lan.has(hub)
    lists(lan, hub)
    if how == "refuses":
        hub.close()
    hub.stall = True
    events = lan.install()
    assert_installed(home)
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert any(f"known only from {lan.url('')}" in message for message in warnings), warnings
    receipt = json.loads((home / "models/.luci" / f"{NAME}.receipt").read_text())
    assert receipt["url"].startswith(hub.endpoint)


def test_a_hub_that_answers_is_asked_alone(hub: Hub, lan: Lan, home: Path) -> None:
    """Also when its answer is no: a stale word of the LAN does not count."""
    lists(lan, hub)
    del hub.repos["me/m"]
    with pytest.raises(luci_dl.LuciError):
        lan.install()
    assert not lan.exchanges()
    assert_nothing_left(home / "models")


def test_an_ollama_model_comes_from_there(lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its blobs, without the registry's token; the small files, too."""
    template = b"{{ .Prompt }}"
    with Registry() as registry:
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        registry.push("library/m", "latest", (MODEL_LAYER, DATA), (TEMPLATE_LAYER, template))
        for data in (DATA, template, b"{}"):
            lan.serve(f"/v2/library/m/blobs/sha256:{sha256(data)}", data)
        lan.install("ollama:m")
        assert not registry.store.exchanges()
    assert (home / "models/m-latest.gguf").read_bytes() == DATA
    assert not any("authorization" in exchange.headers for exchange in lan.exchanges())


def test_with_the_registry_away_the_manifest_comes_from_there(
    lan: Lan, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And luci says so."""
    with Registry() as registry:
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        registry.push("library/m", "latest", (MODEL_LAYER, DATA))
        manifest = registry.manifests["library/m", "latest"]
    lan.serve("/v2/library/m/manifests/latest", manifest)
    for data in (DATA, b"{}"):
        lan.serve(f"/v2/library/m/blobs/sha256:{sha256(data)}", data)
    events = lan.install("ollama:m")
    assert (home / "models/m-latest.gguf").read_bytes() == DATA
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert any(f"known only from {lan.url('')}" in message for message in warnings), warnings


def test_an_upgrade_believes_the_registry_alone(hub: Hub, lan: Lan, home: Path) -> None:
    """With the Hub away, an older word of the LAN would put an older file in place of a newer one."""
    luci_dl.install(REFERENCE)
    lan.has(hub, data=OTHER)
    lists(lan, hub)
    hub.close()
    with pytest.raises(NetworkError):
        luci_dl.upgrade(options=Options(lan=(lan.url(""),), retries=0))
    assert not lan.exchanges()
    assert_installed(home)


def test_a_repair_asks_there_first(hub: Hub, lan: Lan, home: Path) -> None:
    """Only for what is damaged."""
    luci_dl.install(REFERENCE)
    path = home / "models" / NAME
    path.write_bytes(DATA[:1000] + b"!" + DATA[1001:])
    target = lan.has(hub)
    (home / "config.json").write_text('{"lan": ["' + lan.url("") + '"]}')
    luci_dl.verify(repair=True)
    assert path.read_bytes() == DATA
    wait_until(lambda: lan.exchanges(target))
