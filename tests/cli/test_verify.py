"""`luci verify`: its output, its exit codes, and --repair."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import receipt
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.layout import staging_for
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.disk.hands import xxh3_of
from tests.interrupting import SOON_S, interrupt, patched
from tests.library.test_verify import flip, rot
from tests.procs import Spawned, lock_is_free, luci
from tests.servers import faults


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A model of one file, and one of two, all installed."""
    shop.sell("one", aliases=["uno"])
    shop.sell("set", files=["set-1.gguf", "set-proj.gguf"])
    assert luci("install", "one", "set").returncode == 0
    return shop


def test_all_is_right(stocked: Shop, models: Path) -> None:
    """One line for each file on stdout, the sum on stderr."""
    ended = luci("verify")
    names = ["one.gguf", "set-1.gguf", "set-proj.gguf"]
    assert ended.returncode == 0
    assert sorted(ended.stdout.splitlines()) == [f"ok         {models / name}" for name in names]
    assert ended.stderr == "✅ All 3 files are right\n"
    assert luci("verify", "UNO").stderr == "✅ The file is right\n"
    assert_nothing_left(models, *names)


def test_a_wrong_file_is_exit_5(stocked: Shop, models: Path) -> None:
    """It says which one and what to do; only the named models are verified."""
    rot(models / "set-1.gguf")
    (models / "mine.gguf").write_text("mine")
    ended = luci("verify")
    assert ended.returncode == 5
    assert f"changed    {models / 'set-1.gguf'}: expected SHA-256 {sha256(DATA)}, found SHA-256 " in ended.stdout
    assert f"unmanaged  {models / 'mine.gguf'}\n" in ended.stdout
    assert ended.stderr.startswith("❌ 1 of 3 files is not as luci installed it\n")
    assert "luci verify --repair" in ended.stderr
    assert luci("verify", "one").returncode == 0
    assert luci("verify", "set").returncode == 5
    assert_refused(luci("path", "set"), 5, "has changed since luci installed it")
    quiet = luci("verify", "--quiet")
    assert (quiet.returncode, quiet.stdout) == (5, "")
    assert "changed" in quiet.stderr


def test_programs_get_events(stocked: Shop, models: Path) -> None:
    (models / "one.gguf").unlink()
    ended = luci("verify", "one", "--json")
    verified, last, failed = map(json.loads, ended.stdout.splitlines())
    assert verified == {
        "event": "verified", "name": "one.gguf", "path": str(models / "one.gguf"), "reference": "one",
        "state": "missing", "expected": "", "found": "", "damaged": [],
    }  # fmt: skip
    assert last == {"event": "verify_summary", "files": 1, "wrong": 1, "unmanaged": 0}
    assert (failed["event"], failed["exit_code"], ended.returncode) == ("failed", 5, 5)


def test_repair_makes_it_right(stocked: Shop, models: Path) -> None:
    """By the usual transaction; right files are not fetched again."""
    rot(models / "set-1.gguf")
    os.truncate(models / "one.gguf", 10)
    sent = len(stocked.server.exchanges("/set-proj.gguf"))
    ended = luci("verify", "--repair")
    assert ended.returncode == 0, ended.stderr
    assert (models / "set-1.gguf").read_bytes() == (models / "one.gguf").read_bytes() == DATA
    assert len(stocked.server.exchanges("/set-proj.gguf")) == sent
    assert luci("verify").returncode == 0
    assert_nothing_left(models, "one.gguf", "set-1.gguf", "set-proj.gguf")


def test_repair_of_an_address_brings_the_very_bytes_back(shop: Shop, models: Path, tmp_path: Path) -> None:
    """With the same name and folder; if the address has other bytes, they are refused, and the old file stays."""
    url, folder = shop.server.serve("/a.gguf", DATA), tmp_path / "other"
    assert luci("install", url, "-o", "mine.gguf", "--dir", folder).returncode == 0
    rot(folder / "mine.gguf")
    assert luci("verify", "--repair").returncode == 0
    assert (folder / "mine.gguf").read_bytes() == DATA
    rot(folder / "mine.gguf")
    before = (folder / "mine.gguf").read_bytes()
    shop.server.serve("/a.gguf", OTHER)
    ended = luci("verify", "--repair")
    assert ended.returncode == 5
    assert "the bytes of mine.gguf are wrong" in ended.stderr
    assert (folder / "mine.gguf").read_bytes() == before
    assert not models.exists()
    assert_nothing_left(folder, "mine.gguf")


def test_a_lost_file_and_receipt_come_back(stocked: Shop, models: Path) -> None:
    """From the catalog."""
    (models / "set-1.gguf").unlink()
    (models / ".luci" / "set-1.gguf.receipt").unlink()
    assert luci("verify", "set").returncode == 5
    assert luci("verify", "set", "--repair").returncode == 0
    assert luci("verify", "set").returncode == 0


def test_what_is_newer_in_the_catalog_is_no_error(stocked: Shop, models: Path) -> None:
    """And --repair does not replace it."""
    stocked.sell("one", OTHER)
    ended = luci("verify", "one", "--repair")
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"newer      {models / 'one.gguf'}: expected SHA-256 {sha256(OTHER)} by the catalog")
    assert (models / "one.gguf").read_bytes() == DATA


def test_nothing_to_verify(shop: Shop, home: Path) -> None:
    """An unknown name is exit code 3, an empty folder is fine."""
    ended = luci("verify")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "no models are installed" in ended.stderr
    assert not home.exists()
    shop.sell("one")
    assert_refused(luci("verify", "one"), 3, "one is not installed", "luci install one")
    assert_refused(luci("verify", "onne"), 3, "did you mean one")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(stocked: Shop, models: Path, signum: int) -> None:
    """Although a read hangs; nothing is changed."""
    command = patched("from luci_dl.disk import fs; fs.read_at = halt")
    receipts = {path: path.read_bytes() for path in models.rglob("*.receipt")}
    with Spawned("verify", command=command) as run:
        run.wait_for("halted")
        assert interrupt(run, [signum]) < SOON_S
        assert run.process.returncode == -signum
    assert "⚠️  Verification interrupted by user\n" in run.err
    assert {path: path.read_bytes() for path in models.rglob("*.receipt")} == receipts


@pytest.mark.parametrize("way", ["-c1", "-c16", "--from", "adopted"])
def test_every_receipt_has_the_digests_of_all_blocks(shop: Shop, models: Path, tmp_path: Path, way: str) -> None:
    """Whether the bytes came from a server, from a copy, or were there already."""
    data = make_gguf(5 * BLOCK + 5)
    shop.sell("big", data, faults=[faults.trickle(20e6)])
    copy = models / "big.gguf" if way == "adopted" else tmp_path / "usb" / "big.gguf"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(data)
    words = {"--from": ["--from", str(copy)], "adopted": []}.get(way, [way])
    assert luci("install", "big", *words).returncode == 0
    known = receipt.read(staging_for(models, "big.gguf").receipt)
    assert known
    assert known.xxh3 == "".join(f"{xxh3_of(data[at : at + BLOCK]):08x}" for at in range(0, len(data), BLOCK))


class TestRepairByBlocks:
    """Of a damaged file, only what is damaged is fetched."""

    SIZE = 24 * BLOCK + 5

    @pytest.fixture(autouse=True)
    def _installed(self, shop: Shop, models: Path) -> None:
        self.data = make_gguf(self.SIZE)
        shop.sell("big", self.data)
        assert luci("install", "big").returncode == 0
        self.path = models / "big.gguf"

    def repair(self, *words: str) -> int:
        """Returns: the bytes that came over the network."""
        ended = luci(*(words or ("verify", "--repair")), "--json")
        assert ended.returncode == 0, ended.stderr
        assert self.path.read_bytes() == self.data
        assert_nothing_left(self.path.parent, "big.gguf")
        assert luci("verify").returncode == 0
        events = map(json.loads, ended.stdout.splitlines())
        return sum(event["fetched"] for event in events if event["event"] == "installed")

    @pytest.mark.parametrize("words", [(), ("install", "big")])
    def test_three_flipped_bytes_cost_three_blocks(self, words: tuple[str, ...]) -> None:
        """In `verify --repair`, and in `install`, which finds the damage itself."""
        for at in (BLOCK, 12 * BLOCK, self.SIZE - 1):
            flip(self.path, at)
        assert self.repair(*words) == 2 * BLOCK + 5

    def test_a_truncated_file_keeps_what_is_there(self) -> None:
        """Only the rest comes from the server, with the block that the file ends in."""
        os.truncate(self.path, 20 * BLOCK - 1)
        assert self.repair() == 5 * BLOCK + 5

    def test_a_file_that_has_grown_costs_nothing(self) -> None:
        """All its blocks are right."""
        with self.path.open("ab") as file:
            file.write(bytes(3 * BLOCK))
        assert self.repair() == 0

    def test_blocks_of_other_bytes_cost_the_whole_file(self, models: Path) -> None:
        """Somebody changed the receipt: the digest decides."""
        known = receipt.read(staging_for(models, "big.gguf").receipt)
        assert known
        flip(self.path, 5)
        blocks = known.blocks
        blocks[0] = xxh3_of(self.path.read_bytes()[:BLOCK])
        receipt.write(staging_for(models, "big.gguf").receipt, replace(known, xxh3=blocks.text()))
        assert self.repair() == self.SIZE

    def test_a_receipt_of_an_older_luci_costs_the_whole_file(self, models: Path) -> None:
        """It has no blocks; the new one has."""
        known = receipt.read(staging_for(models, "big.gguf").receipt)
        assert known
        receipt.write(staging_for(models, "big.gguf").receipt, replace(known, xxh3=""))
        flip(self.path, 5)
        assert self.repair() == self.SIZE
        new = receipt.read(staging_for(models, "big.gguf").receipt)
        assert new
        assert new.blocks.known == 25

    def test_the_old_file_stays_until_the_server_answers(self, shop: Shop, models: Path) -> None:
        """The next repair fetches the block."""
        flip(self.path, 5 * BLOCK)
        damaged = self.path.read_bytes()
        shop.server.serve("/big.gguf", self.data, faults=[faults.status(503)])
        ended = luci("install", "big", "--retries", "0")
        assert ended.returncode == 4
        assert self.path.read_bytes() == damaged
        assert lock_is_free(models / ".luci" / "big.gguf.lock")
        shop.server.serve("/big.gguf", self.data)
        assert self.repair() == BLOCK
