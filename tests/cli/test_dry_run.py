"""`luci install --dry-run` reports what an install would do, has its exit code, and changes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from luci_dl.disk import commit, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.model import lfs_pointer_sha1
from tests.cli.shop import DATA, OTHER, Shop, sha256
from tests.disk.hands import artifact_of, install, kill_after
from tests.interrupting import wait_for_part
from tests.procs import Spawned, luci
from tests.servers import faults


def state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Everything that a change would affect."""
    infos = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), info.st_ino, info.st_size, info.st_mtime_ns) for path, info in infos]


def forecast(tmp_path: Path, *args: str | Path, code: int = 0) -> list[dict[str, Any]]:
    """The events of `luci install --dry-run --json ARGS...`, which leaves every file and folder as it was."""
    before = state(tmp_path)
    ended = luci("install", "--dry-run", "--json", *args)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert state(tmp_path) == before
    return [json.loads(line) for line in ended.stdout.splitlines()]


def action(tmp_path: Path, *args: str | Path) -> str:
    """What would be done about the only file."""
    (one,) = (event for event in forecast(tmp_path, *args) if event["event"] == "would_install")
    return str(one["action"])


def test_a_download_is_reported_completely(shop: Shop, models: Path, tmp_path: Path) -> None:
    """In the documented shape; no server is asked about what the catalog knows, and no folder is created."""
    url = shop.sell("m")
    file, room = forecast(tmp_path, "m")
    assert file == {
        "event": "would_install",
        "reference": "m",
        "name": "m.gguf",
        "path": str(models / "m.gguf"),
        "action": "download",
        "urls": [url],
        "size": len(DATA),
        "proof": "sha256",
        "digest": sha256(DATA),
        "digest_origin": "catalog",
        "done": 0,
        "copy_path": "",
        "copy_location": "",
        "lock_holder": "",
    }
    free = room.pop("free")
    assert free > 0
    assert room == {
        "event": "disk_space",
        "folder": str(tmp_path),
        "needed": len(DATA),
        "at_least": False,
        "min_free": 1 << 30,
        "enough": True,
    }
    assert not shop.server.exchanges()
    assert not models.parent.exists()


def test_a_person_reads_it_on_stdout(shop: Shop, models: Path) -> None:
    """For each file its source, target and proof; then the space."""
    url = shop.sell("m")
    ended = luci("install", "--dry-run", "m", "--dir", models / "new")
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert lines[:4] == [
        "m.gguf (300kB): would be downloaded",
        f"   From   {url}",
        f"   To     {models / 'new' / 'm.gguf'}",
        f"   Proof  SHA-256 from the catalog, {sha256(DATA)}",
    ]
    assert lines[4].startswith("Space at ")
    assert "300kB needed" in lines[4]
    assert not models.parent.exists(), "--dir is not remembered"


def test_existing_files_are_reported(shop: Shop, models: Path, tmp_path: Path) -> None:
    """Nothing is refreshed, adopted or replaced; a refusal has its exit code."""
    shop.sell("m")
    install(models, (DATA, "m.gguf"))
    assert action(tmp_path, "m") == "already"
    os.utime(models / "m.gguf", (1, 1))
    assert action(tmp_path, "m") == "already"
    (models / "m.gguf").write_bytes(OTHER)
    assert action(tmp_path, "m") == "download"
    staging_for(models, "m.gguf").receipt.unlink()
    (failed,) = forecast(tmp_path, "m", code=5)
    assert "luci did not install it" in failed["message"]
    assert action(tmp_path, "m", "--force") == "download"
    (models / "m.gguf").write_bytes(DATA)
    assert action(tmp_path, "m") == "adopt"
    install(models, (OTHER, "m.gguf"))
    assert action(tmp_path, "m") == "newer"


def test_a_kept_part_is_reported(shop: Shop, models: Path, tmp_path: Path) -> None:
    """The journal says how far it is; a kept part has its space already."""
    shop.sell("m")
    kill_after(models, DATA, 200_000, "m.gguf", artifact_of(DATA, "m.gguf"))
    file, room = forecast(tmp_path, "m")
    assert (file["action"], file["done"], room["needed"]) == ("resume", 200_000, 0)
    assert action(tmp_path, "m", "--no-resume") == "download"
    assert "would resume at 66 % (200 kB kept)" in luci("install", "m", "--dry-run").stdout


def test_a_copy_is_reported(shop: Shop, tmp_path: Path) -> None:
    """With its location; offline a copy is enough, and without one the dry run fails."""
    shop.sell("m")
    copy = tmp_path / "usb" / "m.gguf"
    copy.parent.mkdir()
    copy.write_bytes(DATA)
    for options in ([], ["--offline"]):
        file = forecast(tmp_path, "m", "--from", copy.parent, *options)[0]
        assert (file["action"], file["copy_path"], file["copy_location"]) == ("copy", str(copy), str(copy.parent))
    (failed,) = forecast(tmp_path, "m", "--offline", code=4)
    assert "luci is offline" in failed["message"]


def test_the_lock_holder_is_reported(shop: Shop, models: Path, tmp_path: Path) -> None:
    """And is not disturbed."""
    shop.sell("m", faults=[faults.stall(1000)])
    with Spawned("install", "m") as holder:
        wait_for_part(models)
        ended = luci("install", "--dry-run", "m")
        assert ended.returncode == 0
        assert f"would wait for pid {holder.pid} on " in ended.stdout
        assert holder.process.poll() is None


def test_an_install_that_was_cut_off_is_reported(shop: Shop, models: Path, tmp_path: Path) -> None:
    """Between the rename and the receipt."""
    shop.sell("m")
    settle_all, commit.settle_all = commit.settle_all, lambda *_: None
    try:
        install(models, (DATA, "m.gguf"))
    finally:
        commit.settle_all = settle_all
    assert receipt.read(staging_for(models, "m.gguf").receipt) is None
    assert action(tmp_path, "m") == "complete"


def test_a_disk_that_is_too_small_is_reported(shop: Shop, home: Path, tmp_path: Path) -> None:
    """With the space that all models need together: exit code 6, as for the install."""
    shop.sell("m")
    shop.sell("n")
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"min_free": 1 << 58}))
    *_, room, failed = forecast(tmp_path, "m", "n", code=6)
    assert (room["needed"], room["enough"], failed["exit_code"]) == (2 * len(DATA), False, 6)
    assert "must stay free" in failed["message"]


def test_what_only_the_server_knows_is_asked(shop: Shop, tmp_path: Path) -> None:
    """Size and digest of an address, or that there is no such file."""
    url = shop.sell("m", digest=False, faults=[faults.headers(**{"X-Linked-Etag": f'"{sha256(DATA)}"'})])
    file = forecast(tmp_path, url)[0]
    assert (file["size"], file["proof"], file["digest_origin"]) == (len(DATA), "sha256", "server")
    (failed,) = forecast(tmp_path, shop.server.url("/none.gguf"), code=3)
    assert failed["reference"] == shop.server.url("/none.gguf")


def test_the_proof_of_each_file_is_reported(shop: Shop, tmp_path: Path) -> None:
    """A digest given by the user, an LFS pointer, or none."""
    url = shop.sell("m", digest=False)
    file = forecast(tmp_path, f"{url}#sha256={sha256(DATA)}")[0]
    assert (file["proof"], file["digest_origin"]) == ("sha256", "user")
    assert forecast(tmp_path, url)[0]["proof"] == "none"
    pointer = lfs_pointer_sha1(sha256(DATA), len(DATA))
    shop.file.write_text(shop.file.read_text() + f'\nsize = {len(DATA)}\nlfs_pointer_sha1 = "{pointer}"\n')
    file = forecast(tmp_path, "m")[0]
    assert (file["proof"], file["digest"], file["digest_origin"]) == ("lfs pointer", pointer, "catalog")


def test_all_models_need_no_yes(shop: Shop) -> None:
    """A dry run installs nothing, so it asks nothing."""
    ended = luci("install", "all", "models", "--dry-run", "--offline", "--no-adopt", "--quiet")
    assert ended.returncode == 4
    assert ended.stderr.count("luci is offline") == 76
