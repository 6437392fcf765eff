"""Servers that answer wrongly: the earlier file stays as it is, byte for byte, and nothing else is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.procs import files_left, luci
from tests.servers import faults
from tests.servers.faults import Fault


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (faults.login_page(), 5, "log"),
        (faults.longer(10), 5, "300010"),
        (faults.shorter(10), 5, "299990"),
        (faults.flipped(200_000), 5, "SHA-256"),
        (faults.redirect("/new.gguf"), 4, "redirect"),
        (faults.garbage(), 4, "new.gguf"),
        (faults.status(403), 3, "403"),
        (faults.status(404), 3, "404"),
        (faults.status(500, body=b"\x1b[31mboo"), 4, "500"),
        (faults.redirect("http://\x1b[31mevil/"), 4, "redirect"),
        (faults.gzipped(), 4, "gzip"),
        (faults.huge_headers(), 4, "new.gguf"),
        (faults.announce(+10), 5, "300010"),
    ],
    ids=[
        "login",
        "long",
        "short",
        "digest",
        "loop",
        "garbage",
        "403",
        "404",
        "500",
        "escape",
        "gzip",
        "huge",
        "length",
    ],
)
def test_a_wrong_answer_changes_nothing(fault: Fault, code: int, said: str, shop: Shop, models: Path) -> None:
    """No new file appears, and one that should have been replaced is not touched."""
    shop.sell("old")
    assert luci("install", "old").returncode == 0
    before = (models / "old.gguf").stat()
    shop.sell("new", OTHER, faults=[fault])
    shop.sell("old", OTHER, faults=[fault])
    ended = luci("install", "new", "--retries", "0")
    assert_refused(ended, code, said)
    assert "\x1b" not in ended.stderr
    replaced = luci("install", "old", "--force", "--retries", "0")
    assert_refused(replaced, code)
    after = (models / "old.gguf").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (models / "old.gguf").read_bytes() == DATA
    assert_nothing_left(models, "old.gguf")


def test_a_page_in_place_of_an_unknown_file_is_no_model(shop: Shop, models: Path) -> None:
    """Without a digest the first bytes give it away."""
    url = shop.server.serve("/a.gguf", DATA, [faults.login_page()])
    assert_refused(luci("install", url, "--retries", "0"), 5, "log")
    assert_nothing_left(models)


def test_a_part_that_the_network_cut_is_kept_and_resumed(shop: Shop, models: Path) -> None:
    """Exit 4 says so; the next run asks for the rest alone."""
    big = DATA * 20
    shop.sell("big", big, [faults.cut(5_000_000), faults.status(503), faults.ok()])
    ended = luci("install", "big", "--retries", "1")
    assert ended.returncode == 4
    assert "Kept partial download: big.gguf" in ended.stderr
    assert "Run the install command again to resume" in ended.stderr
    assert ".luci/big.gguf.part" in files_left(models)
    again = luci("install", "big")
    assert again.returncode == 0, again.stderr
    assert "Resuming at" in again.stderr
    assert sha256((models / "big.gguf").read_bytes()) == sha256(big)
    assert "range" in shop.server.exchanges("/big.gguf")[-1].headers
    assert_nothing_left(models, "big.gguf")
