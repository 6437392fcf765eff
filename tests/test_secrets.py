"""No secret is left on the disk or shown: all files, events, errors and outputs of a run are searched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import journal, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import is_held
from luci_dl.errors import Interrupted, LuciError, NoRoom
from luci_dl.events import Event, Started
from luci_dl.net.connections import requested
from luci_dl.net.document import Document
from luci_dl.plan import Options
from luci_dl.sources.selection import FileSelection
from luci_dl.ui.describe import describe
from luci_dl.ui.jsonl import as_json
from tests.cli.shop import assert_nothing_left, sha256
from tests.net.proxies import proxy
from tests.procs import luci
from tests.servers import FaultyServer, faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub
from tests.servers.registry import Registry

DATA = make_gguf(300_000)
SECRET = "s3cr3t"
"""Every planted secret contains it."""
QUERY = f"?X-Signature={SECRET}-query"
HEADER = f"{SECRET}-header"
ECHO = json.dumps({"error": f"the token {SECRET}-query of {HEADER} and hf_{SECRET}-hub is wrong"}).encode()
TOKEN = json.dumps({"token": f"{SECRET}-bearer"}).encode()
LOCATION = f"http://me:{SECRET}@localhost:1/m.gguf?X-Signature={SECRET}"
WAYS_TO_FAIL: dict[str, list[Fault]] = {
    "401": [faults.status(401, body=ECHO)],
    "403": [faults.status(403, body=ECHO)],
    "404": [faults.status(404, body=ECHO)],
    "416": [faults.status(416, body=ECHO)],
    "429": [faults.status(429, 3600, ECHO)],
    "500": [faults.status(500, body=ECHO)],
    "cut": [faults.cut(100_000)],
    "wrong bytes": [faults.flipped(200_000)],
    "web page": [faults.login_page()],
    "no HTTP": [faults.garbage()],
    "redirect loop": [faults.redirect(f"/m.gguf?again={SECRET}")],
    "redirect to nobody": [faults.redirect(LOCATION)],
    "redirect to no name": [faults.redirect(LOCATION.replace("localhost", "no-such-host.invalid"))],
    "redirect to another scheme": [faults.redirect(LOCATION.replace("http", "ftp", 1))],
    "redirect to a bad port": [faults.redirect(LOCATION.replace(":1/", f":{SECRET}/"))],
    "redirect to a bad host": [faults.redirect(f"http://[{SECRET}/")],
    "Hub's words": [faults.status(403, body=ECHO) + faults.headers(**{"X-Error-Message": f"no {SECRET}-query"})],
}


class Trail:
    """Everything that a run in this process leaves and shows."""

    def __init__(self, home: Path) -> None:
        self.texts: list[str] = []
        self.error: BaseException | None = None
        self._home = home

    def emit(self, event: Event) -> None:
        self.texts += [repr(event), as_json(event), *describe(event)]
        self.look()

    def look(self) -> None:
        """Take the name and the content of every file that exists now."""
        for path in self._home.rglob("*"):
            with contextlib.suppress(OSError):
                self.texts += [str(path), path.read_bytes().decode("latin-1") if path.is_file() else ""]

    def install(self, *words: str, headers: bool = True, **options: object) -> None:
        """Install with a secret header; keep the error, and the traceback of all its causes."""
        selection = FileSelection(headers={"X-Token": HEADER} if headers else {})
        given = Options(retries=0, **options)  # type: ignore[arg-type]
        self.texts += [repr(selection), repr(given)]
        try:
            luci_dl.install(*words, selection=selection, options=given, emit=self.emit)
        except LuciError as error:
            self.error = error
            self.texts += [repr(error), error.hint, *traceback.format_exception(error)]
        self.look()

    def assert_no_secret(self) -> None:
        assert [text for text in self.texts if SECRET in text] == []


@pytest.fixture
def trail(home: Path, tmp_path: Path) -> Trail:
    assert SECRET not in str(tmp_path)
    return Trail(home)


def with_password(url: str) -> str:
    return url.replace("//", f"//me:{SECRET}-password@", 1)


@pytest.fixture
def address(server: FaultyServer) -> str:
    """Of a file, with a password and a signature."""
    return with_password(server.serve("/m.gguf", DATA)) + QUERY


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
def test_no_failed_download_leaves_or_shows_a_secret(
    way: str, digest: bool, server: FaultyServer, trail: Trail
) -> None:
    """Password, signature and header of the address, what the server says of them, and where it redirects to."""
    url = with_password(server.serve("/m.gguf", DATA, WAYS_TO_FAIL[way])) + QUERY
    trail.install(url + f"#sha256={sha256(DATA)}" * digest, connections=1)
    assert trail.error or (way == "wrong bytes" and not digest)
    trail.assert_no_secret()


def test_no_successful_download_leaves_or_shows_a_secret(address: str, server: FaultyServer, trail: Trail) -> None:
    """With the signature and the password having reached the server."""
    trail.install(address)
    assert trail.error is None
    [exchange, *_] = server.exchanges()
    assert exchange.target.endswith(QUERY)
    assert exchange.headers["x-token"] == HEADER
    trail.assert_no_secret()


@pytest.mark.parametrize("end", [Interrupted(), NoRoom("the disk is full")], ids=["interrupt", "full disk"])
def test_no_download_that_ends_early_leaves_a_secret(
    end: LuciError, address: str, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part may be kept, with a journal."""

    def ends(*_: object) -> None:
        raise end

    monkeypatch.setattr(CancelToken if isinstance(end, Interrupted) else luci_dl.disk.part.Part, "check", ends)
    trail.install(address, keep_partial=True)
    assert trail.error is end
    trail.assert_no_secret()


@pytest.mark.parametrize("url", ["https://no-such-host.invalid/m.gguf", "https://127.0.0.1:{port}/m.gguf"])
def test_no_failed_connection_shows_a_secret(url: str, server: FaultyServer, trail: Trail) -> None:
    """No such name; a server that does not speak TLS."""
    trail.install(with_password(url.format(port=server.port)) + QUERY)
    assert trail.error
    trail.assert_no_secret()


def test_an_untrusted_certificate_shows_no_secret(trail: Trail) -> None:
    with FaultyServer(tls=trustme.CA()) as server:
        trail.install(with_password(server.url("/m.gguf")) + QUERY)
    assert "certificate" in str(trail.error)
    trail.assert_no_secret()


@pytest.mark.parametrize(
    "word",
    [
        f"https://me:{SECRET}",
        f"https://me:{SECRET}/x@host/m.gguf{QUERY}",
        f"https://me:{SECRET}@host:port/m.gguf",
        f"https://host/{QUERY}",
        f"https://host/..%2f{QUERY}",
        f"https://host/a%2fb{QUERY}",
        f"https://host/%ff{QUERY}",
        f"https://host/m.gguf{QUERY}#{SECRET}",
        f"https://host/m.gguf{QUERY}\\",
        f"ftp://me:{SECRET}@host/m.gguf{QUERY}",
        f"http://me:{SECRET}@host/m.gguf{QUERY}",
        f"https://me:{SECRET}@huggingface.co/O/R/discussions/1{QUERY}",
    ],
)
def test_no_refused_word_shows_a_secret(word: str, trail: Trail) -> None:
    """However malformed it is."""
    trail.install(word)
    assert trail.error
    if word != f"https://me:{SECRET}":  # it cannot be told from a port
        trail.assert_no_secret()


@pytest.mark.parametrize("gone", [False, True], ids=["served", "refused"])
def test_the_hub_leaves_no_secret(gone: bool, trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the user, and the signatures of the store."""
    monkeypatch.setenv("HF_TOKEN", f"hf_{SECRET}-hub")
    with Hub() as hub, FaultyServer() as mirror:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("LUCI_MIRRORS", mirror.url(""))
        hub.add("O/R", {"m-Q4_K_M.gguf": DATA})
        hub.down = gone
        hub.tokens.add(f"hf_{SECRET}-hub")
        trail.install("hf:O/R", headers=False)
        assert bool(trail.error) is gone
        assert any(f"hf_{SECRET}-hub" in seen.headers.get("authorization", "") for seen in hub.seen("hub"))
    trail.assert_no_secret()


@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_a_registry_leaves_no_secret(status: int, trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token that it issues, what it says of it, and the signatures of its store."""
    repeated = json.dumps({"errors": [{"message": f"the token {SECRET}-bearer is wrong"}]}).encode()
    with Registry() as registry:
        registry.on_token = Fault(on_answer=lambda answer: replace(answer, body=TOKEN))
        registry.push("library/m", "latest", ("application/vnd.ollama.image.model", DATA))
        if status != 200:
            registry.on_manifest = faults.status(status, body=repeated)
        monkeypatch.setattr(registry, "_is_good", lambda authorization, _repository: SECRET in authorization)
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        trail.install("ollama:m", headers=False)
        assert bool(trail.error) is (status != 200)
    trail.assert_no_secret()


@pytest.mark.parametrize("known", [True, False], ids=["digest", "no digest"])
@pytest.mark.parametrize("way", ["403", "cut", "redirect to nobody", "wrong bytes"])
def test_a_catalog_entry_leaves_no_secret(
    known: bool, way: str, server: FaultyServer, home: Path, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address may have a signature; only the catalog file itself has it."""
    url = server.serve("/m.gguf", DATA, WAYS_TO_FAIL[way]) + QUERY
    file = home.parent / "catalog.toml"
    digest = f'sha256 = "{sha256(DATA)}"' if known else ""
    file.write_text(f'[[model]]\nname = "mine"\n[[model.file]]\nfilename = "m.gguf"\nurl = "{url}"\n{digest}\n')
    monkeypatch.setenv("LUCI_CATALOG", str(file))
    trail.install("mine", headers=False, unverified=True)
    outputs = [luci(*words.split()) for words in ("info mine", "info mine --json", "catalog list", "list --available")]
    trail.texts += [output.stdout + output.stderr for output in outputs]
    trail.texts += [luci("install", "mine", "--dry-run", *more).stdout for more in ([], ["--json"])]
    trail.assert_no_secret()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_proxy_password_is_not_shown(
    right: bool, server: FaultyServer, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by an install nor by the doctor."""
    address = server.serve("/m.gguf", DATA).replace("127.0.0.1", "127.0.0.1.nip.invalid")
    with proxy("Basic nobody", status=502 if right else None, reason=f"bad {SECRET}") as between:
        monkeypatch.setenv("http_proxy", between.address(f"me:{SECRET}-proxy@"))
        trail.install(f"{address}#sha256={sha256(DATA)}", headers=False)
        assert trail.error
        ended = luci("doctor", "--json", timeout=60) if right else luci("doctor", timeout=60)
        trail.texts += [ended.stdout, ended.stderr]
    trail.assert_no_secret()


def test_no_command_shows_a_secret(address: str, server: FaultyServer, home: Path, trail: Trail) -> None:
    """Whatever is asked of an installed model and of a kept part; what is typed is not repeated either."""
    trail.install(address)
    kept = with_password(server.serve("/kept.gguf", DATA, [faults.cut(200_000)])) + QUERY
    trail.install(kept, connections=1)
    (home / "models" / "m.gguf").write_bytes(b"GGUF")
    other = address.replace("/m.gguf", "/other.gguf")
    for words in (
        ["status"],
        ["list"],
        ["info", address],
        ["info", other],
        ["path", address],
        ["verify"],
        ["verify", "--repair"],
        ["remove", "--dry-run", address],
        ["clean", "--dry-run"],
        ["install", "--dry-run", kept],
        ["install", "--dry-run", address, other],
        ["install", "-v", "--retries", "0", "--header", f"X-Token: {HEADER}", kept],
        ["install", "--header", f"{SECRET}", kept],
        ["doctor", address],
        ["config", "set", "mirrors", address],
        ["config", "list"],
        [address],
        ["clean"],
    ):
        for more in ([], ["--json"]):
            ended = luci(*words, *more)
            trail.texts += [ended.stdout, ended.stderr]
    trail.look()
    trail.assert_no_secret()


def test_a_download_with_a_new_signature_resumes(server: FaultyServer, home: Path, trail: Trail) -> None:
    """The part belongs to the target, and its validator to the address without the query."""
    whole = server.serve("/m.gguf", DATA, [faults.cut(200_000), faults.ok()])
    trail.install(f"{whole}{QUERY}-1", connections=1)
    assert trail.error
    assert [*journal.read(staging_for(home / "models", "m.gguf").journal).header.validators] == [whole]  # type: ignore[union-attr]
    events: list[Event] = []
    luci_dl.install(f"{whole}{QUERY}-2", emit=events.append)
    assert [event.offset > 0 for event in events if isinstance(event, Started)] == [True]
    assert (home / "models" / "m.gguf").read_bytes() == DATA


def test_the_files_of_older_versions_are_read_and_lose_their_secrets(
    address: str, home: Path, server: FaultyServer, trail: Trail
) -> None:
    """A receipt and a journal with whole addresses mean the same model and the same part."""
    staging = staging_for(home / "models", "m.gguf")
    luci_dl.install(address)
    whole = server.url("/m.gguf") + QUERY
    facts = json.loads(staging.receipt.read_text()) | {"url": whole, "reference": whole}
    staging.receipt.write_text(json.dumps(facts))
    [model] = luci_dl.installed()
    assert SECRET not in repr(model)
    assert luci_dl.path(address) == staging.target
    os.utime(staging.target, (1, 1))
    luci_dl.install(address)
    assert receipt.read(staging.receipt) == receipt.read(staging.receipt)
    assert SECRET not in staging.receipt.read_text()
    header = {"v": 1, "name": "m.gguf", "size": None, "sha256": None, "validators": {whole: '"e"'}}
    staging.journal.write_bytes(journal.encode(header))
    log = journal.read(staging.journal)
    assert log is not None
    assert log.header.validator(whole.replace(SECRET, "other")) == '"e"'
    assert SECRET not in repr(log)
    assert not is_held(staging.lock)


def test_no_repr_shows_a_secret(address: str) -> None:
    """Of an artifact, a selection, an event, an error."""
    artifact = luci_dl.Artifact("m.gguf", (address,), headers={"X-Token": HEADER})
    model = luci_dl.Model("mine", (artifact,))
    request = requested(address, {"X-Token": HEADER}, 200, 1.0)
    document = Document(address, 200, {"location": address}, address.encode())
    shown = [
        document,
        artifact,
        model,
        luci_dl.FileSelection(headers={"X-Token": HEADER}),
        request,
        LuciError(address, address),
    ]
    assert [value for value in shown if SECRET in repr(value) + repr(vars(value).get("hint"))] == []


def test_a_bug_shows_its_traceback_without_secrets(address: str) -> None:
    """With the addresses in it made public."""
    from luci_dl.__main__ import _show_bug

    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        try:
            raise KeyError(address)
        except KeyError as bug:
            _show_bug(type(bug), bug, bug.__traceback__)
    assert "Traceback" in stderr.getvalue()
    assert "KeyError" in stderr.getvalue()
    assert f"{SECRET}-" not in stderr.getvalue()


def test_an_address_with_another_query_finds_the_model(address: str, home: Path) -> None:
    """A signature is new each time; only where it would be ambiguous the query decides."""
    luci_dl.install(address)
    fresh = address.replace(QUERY, "?X-Signature=fresh")
    assert luci_dl.path(fresh) == home / "models" / "m.gguf"
    luci_dl.install(fresh, output="other.gguf")
    assert luci_dl.path(fresh) == home / "models" / "other.gguf"
    with pytest.raises(LuciError, match="2 models"):
        luci_dl.remove(address.replace(QUERY, "?X-Signature=third"))
    luci_dl.remove(address)
    assert [model.names for model in luci_dl.installed()] == [("other.gguf",)]
    [reference] = [model.reference for model in luci_dl.installed()]
    luci_dl.remove(reference)
    assert luci_dl.installed() == []


def test_a_repair_asks_for_the_whole_address(address: str, home: Path) -> None:
    """The receipt lacks the query, without which the server may have another file."""
    luci_dl.install(address)
    file = home / "models" / "m.gguf"
    file.write_bytes(DATA[:-1] + b"!")
    ended = luci("verify", "--repair")
    assert ended.returncode == 3
    assert "lacks its query, which luci does not keep\n   Paste the whole address." in ended.stderr
    assert file.read_bytes() == DATA[:-1] + b"!"
    assert_nothing_left(home / "models", "m.gguf")
    assert luci("install", "--force", address).returncode == 0
    assert file.read_bytes() == DATA
