"""The whole of luci against a server that fails: what comes right, what ends in an error, and what is left."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from luci_dl.cli import main
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.net import connections, rate_meter, retry
from tests.interrupting import assert_nothing_left
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer, faults

DATA = make_gguf(1_000_000)
OLD = make_gguf(500_000, seed=7)
SHA256 = hashlib.sha256(DATA).hexdigest()
HALF = len(DATA) // 2
OK = faults.ok()
CUT = faults.cut(HALF)
HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: "x"\r\n'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.001)
    monkeypatch.setattr(rate_meter, "STALL_S", 0.3)
    monkeypatch.setattr(connections, "FIRST_BYTE_S", 1.0)


@dataclasses.dataclass
class Case:
    """`luci install` of one address in this process; `target` stood there before, as another luci's would not."""

    server: FaultyServer
    models: Path
    capfd: pytest.CaptureFixture[str]
    said: str = ""

    @property
    def target(self) -> Path:
        return self.models / "m.gguf"

    def install(self, *options: str, scripted: tuple[faults.Fault, ...] = (), target: str = "/m.gguf") -> int:
        url = self.server.serve(target, DATA, faults=scripted) if scripted else self.server.url(target)
        code = main.run(["install", url, "-o", "m.gguf", "--retries", "3", *options])
        self.said = self.capfd.readouterr().err
        return code

    def stood_before(self) -> None:
        self.models.mkdir(parents=True)
        self.target.write_bytes(OLD)


@pytest.fixture
def case(server: FaultyServer, home: Path, capfd: pytest.CaptureFixture[str]) -> Case:
    return Case(server, home / "models", capfd)


COMES_RIGHT = {
    "honest": (OK,),
    "chunked": (faults.chunked(),),
    "no etag": (faults.no_etag(),),
    "interim answers": (faults.status(503), OK),
    "cut": (CUT, OK),
    "cut twice": (CUT, faults.cut(1000), OK),
    "reset": (faults.cut(HALF, reset=True), OK),
    "cut before the first byte": (faults.cut(0), OK),
    "another size before the first byte": (faults.shorter(9) + faults.cut(0), OK),
    "another version before the first byte": (faults.changed(OLD) + faults.cut(0), OK),
    "cut in the head": (faults.garbage(b""), faults.garbage(HEAD[:40]), faults.garbage(HEAD), OK),
    "cut in a resumed head": (CUT, faults.garbage(HEAD[:40]), OK),
    "cut chunks": (faults.chunked() + CUT, OK),
    "cut without etag": (faults.no_etag() + CUT, faults.no_etag()),
    "cut with a weak etag": (faults.weak_etag() + CUT, faults.weak_etag()),
    "stall": (faults.stall(HALF), OK),
    "stall before the head": (faults.stall_head(), OK),
    "ranges ignored": (CUT, faults.no_ranges()),
    "ranges ignored by half": (CUT, faults.no_ranges() + faults.cut(1000), OK),
    "wrong range": (CUT, faults.wrong_range(shift=-1), OK),
    "wrong total": (CUT, faults.wrong_range(total=len(DATA) + 1), OK),
    "416": (CUT, faults.status(416), OK),
    "429 with seconds": (faults.status(429, retry_after=0), OK),
    "503 with a date": (CUT, faults.status(503, retry_after=formatdate(usegmt=True)), OK),
    "a login page in between": (CUT, faults.login_page(), OK),
}


@pytest.mark.parametrize("scripted", COMES_RIGHT.values(), ids=COMES_RIGHT)
@pytest.mark.parametrize("proof", [["--sha256", SHA256], []], ids=["digest", "no digest"])
def test_what_a_retry_can_mend_comes_right(case: Case, scripted: tuple[faults.Fault, ...], proof: list[str]) -> None:
    """The very bytes, and nothing beside them; with a digest and without."""
    assert case.install(*proof, scripted=scripted) == 0, case.said
    assert case.target.read_bytes() == DATA
    assert_nothing_left(case.models, "m.gguf")


FAILS = {
    "flipped": ((faults.flipped(HALF),), 5, "the bytes of m.gguf are wrong"),
    "too long": ((faults.longer(9),), 5, "wrong"),
    "too short": ((faults.shorter(9),), 5, "wrong"),
    "changed after a cut": ((CUT, faults.changed(OLD)), 5, "wrong"),
    "a login page": ((faults.login_page(),), 5, "web page"),
    "another kind of file": ((faults.changed(b"<!DOCTYPE html>" * 99),), 5, "not a GGUF file"),
    "404": ((faults.status(404),), 3, "no such file"),
    "403": ((faults.status(403),), 3, "denies access"),
    "gzip": ((faults.gzipped(),), 5, "is not a GGUF file"),
    "garbage": ((faults.garbage(),), 4, "does not speak HTTP"),
    "huge headers": ((faults.huge_headers(),), 4, "its head is too long"),
    "circles": ((faults.redirect("/m.gguf"),), 4, "redirect loop (more than 10 redirects)"),
    "always busy": ((faults.status(503),), 4, "returned 503 (4 attempts)"),
    "always cut": ((faults.cut(0),), 4, "was lost (4 attempts)"),
    "busy for long": ((faults.status(429, retry_after=3600),), 4, "wait 60 minutes"),
}


@pytest.mark.parametrize(("scripted", "code", "said"), FAILS.values(), ids=FAILS)
def test_what_cannot_be_mended_changes_nothing(
    case: Case, scripted: tuple[faults.Fault, ...], code: int, said: str
) -> None:
    """The file that stood there stays, one message says why, and nothing is left but an idle lock."""
    case.stood_before()
    assert case.install("--sha256", SHA256, "--force", scripted=scripted) == code
    assert case.said.count("❌") == 1
    assert said in case.said
    assert case.target.read_bytes() == OLD
    case.target.unlink()
    assert_nothing_left(case.models)


def test_changes_without_digest_are_an_error_and_the_next_run_gets_the_new_file(case: Case) -> None:
    """Two versions are never mixed."""
    new = make_gguf(400_000, seed=8)
    assert case.install(scripted=(CUT, faults.changed(OLD) + faults.cut(1000), faults.changed(new))) == 5
    assert "changes on the server" in case.said
    assert_nothing_left(case.models)
    assert case.install() == 0
    assert case.target.read_bytes() == new


def test_without_length_and_digest_nobody_can_tell_the_end(case: Case) -> None:
    """What ends with its connection needs a digest; with one it is proved."""
    assert case.install(scripted=(faults.no_ranges() + faults.close_delimited(),)) == 5
    assert "--sha256" in case.said
    assert_nothing_left(case.models)
    assert case.install("--sha256", SHA256) == 0
    assert_nothing_left(case.models, "m.gguf")


def test_an_endless_body_stops_at_the_reserve_of_the_disk(case: Case, home: Path) -> None:
    """Its room is given back."""
    import os

    home.mkdir()
    info = os.statvfs(home)
    reserve = info.f_bavail * info.f_frsize - (64 << 20)
    (home / "config.json").write_text(f'{{"min_free": {reserve}}}')
    assert case.install(scripted=(faults.no_ranges() + faults.endless(),)) == 6
    assert "no room for m.gguf" in case.said
    assert_nothing_left(case.models)


# --- the network's end is not the download's


@pytest.mark.parametrize("proof", [["--sha256", SHA256], []], ids=["digest", "no digest"])
def test_what_came_is_kept_when_the_network_fails_and_gone_on_with(case: Case, proof: list[str]) -> None:
    """Exit 4, the words say so, the lock is free, and the next run asks for the rest alone."""
    assert case.install(*proof, scripted=(CUT, faults.status(503), *[faults.status(503)] * 3, OK)) == 4
    assert "📦 Kept partial download: m.gguf (50 %)\n   Run the install command again to resume\n" in case.said
    assert files_left(case.models) == [".luci/", *(f".luci/m.gguf.{end}" for end in ("journal", "lock", "part"))]
    assert lock_is_free(case.models / ".luci" / "m.gguf.lock")
    assert case.install(*proof) == 0
    assert "Resuming at 50 % (500 kB verified)" in case.said
    assert case.target.read_bytes() == DATA
    assert case.server.sent() == len(DATA)
    assert_nothing_left(case.models, "m.gguf")


def test_what_could_never_be_gone_on_with_is_not_kept(case: Case) -> None:
    """Without a digest and a validator the next run could prove nothing: no part, and no promise to resume."""
    assert case.install(scripted=(faults.no_etag() + CUT, faults.status(503))) == 4
    assert "resume" not in case.said
    assert_nothing_left(case.models)


def test_a_file_that_changed_between_two_runs_starts_over(case: Case) -> None:
    """The validator of the first run does not fit any more."""
    assert case.install("--retries", "0", scripted=(CUT, faults.changed(OLD))) == 4
    assert case.install() == 0
    assert case.target.read_bytes() == OLD
    assert_nothing_left(case.models, "m.gguf")


OTHER = make_gguf(len(DATA), seed=11)


def test_wrong_bytes_of_an_earlier_run_are_fetched_again(case: Case) -> None:
    """The journal proves what came, not that it was right; the digest of the whole shows that."""
    assert case.install("--retries", "0", "--sha256", SHA256, scripted=(faults.flipped(100) + CUT,)) == 4
    assert case.install("--sha256", SHA256, scripted=(OK,)) == 0, case.said
    assert case.target.read_bytes() == DATA
    assert_nothing_left(case.models, "m.gguf")


def test_bytes_of_two_versions_are_fetched_again(case: Case) -> None:
    """With a digest a changed ETag is no reason to start over, but one to try again when the digest is wrong."""
    assert case.install("--sha256", SHA256, scripted=(faults.changed(OTHER) + CUT, OK)) == 0, case.said
    assert case.target.read_bytes() == DATA
    assert_nothing_left(case.models, "m.gguf")


# --- the Hub


def hub(case: Case, *blobs: faults.Fault, data: bytes = DATA) -> None:
    """An origin that says the digest of `data` and redirects to a signed address on another host."""
    there = case.server.url("/blob?signature=x", host="localhost")
    case.server.serve("/blob", DATA, faults=list(blobs))
    case.server.serve("/m.gguf", faults=[faults.hub_redirect(there, data)])


def test_the_digest_of_the_hub_is_the_proof(case: Case) -> None:
    """It goes into the receipt, and nothing has to be warned of."""
    hub(case, OK)
    assert case.install() == 0
    assert '"proof": "hub"' in (case.models / ".luci" / "m.gguf.receipt").read_text()
    assert "no digest" not in case.said
    assert_nothing_left(case.models, "m.gguf")


def test_bytes_that_the_hub_did_not_mean_are_refused(case: Case) -> None:
    """Of the right size, and a GGUF file."""
    hub(case, OK, data=make_gguf(len(DATA), seed=9))
    assert case.install() == 5
    assert "the bytes of m.gguf are wrong" in case.said
    assert_nothing_left(case.models)


def test_a_signed_address_that_expires_is_asked_for_anew(case: Case) -> None:
    """The origin is asked when the address is refused, and the download continues where it was."""
    hub(case, faults.cut(300_000), faults.status(403), faults.cut(300_000), faults.status(400), OK)
    assert case.install("--retries", "5") == 0, case.said
    assert len(case.server.exchanges("/m.gguf")) == 3
    assert case.said.count("Retrying") == 2, "for the lost connections"
    assert case.server.sent() == len(DATA)
    assert_nothing_left(case.models, "m.gguf")


def test_an_address_that_never_works_is_given_up(case: Case) -> None:
    """As a network error, since the origin had promised the file."""
    hub(case, CUT, faults.status(403))
    assert case.install() == 4
    assert "Kept partial download" in case.said


def test_no_answer_takes_long(case: Case) -> None:
    """A server that is silent from the beginning is given up after so many attempts."""
    began = time.monotonic()
    assert case.install("--retries", "2", "--timeout", "1", scripted=(faults.stall_head(),)) == 4
    assert "did not respond in time (3 attempts)" in case.said
    assert time.monotonic() - began < 10
    assert_nothing_left(case.models)
