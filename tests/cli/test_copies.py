"""Files that are on this machine already are copied, and verified like all others."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest

from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, sha256
from tests.disk.hands import artifact_of, kill_after
from tests.interrupting import DELETED, STOPPED, patched
from tests.procs import Spawned, luci

ROTTEN = DATA[:-1] + bytes([DATA[-1] ^ 1])
HUB = ".cache/huggingface/hub"
HALT = "from luci_dl.install import copying\ncopying._copy_segment = halt"


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def in_hub_cache(user: Path, data: bytes = DATA, digest: str = "", cache: str = HUB) -> Path:
    """As the Hub's own tools keep it, whatever the repository."""
    return put(user / cache / "models--OWNER--REPO" / "blobs" / (digest or sha256(data)), data)


def in_ollama(user: Path, data: bytes = DATA, digest: str = "", models: str = ".ollama/models") -> Path:
    return put(user / models / "blobs" / f"sha256-{digest or sha256(data)}", data)


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The user's home."""
    return tmp_path / "user"


def assert_copied(shop: Shop, models: Path, source: Path, where: str, *options: str | Path) -> None:
    """Assert that it was copied from there, that no server was asked, and that the output says so."""
    ended = luci("install", "m", *options)
    assert (ended.returncode, ended.stdout) == (0, f"{models / 'm.gguf'}\n"), ended.stderr
    assert f"📦 Found in {where}: m.gguf" in ended.stderr
    assert "Installed m.gguf (300kB)" in ended.stderr
    assert (models / "m.gguf").read_bytes() == source.read_bytes() == DATA
    assert not shop.server.exchanges()
    known = receipt.read(staging_for(models, "m.gguf").receipt)
    assert known
    assert (known.url, known.sha256, known.proof) == (source.as_uri(), sha256(DATA), "sha256")
    assert_nothing_left(models, "m.gguf")


@pytest.mark.parametrize(
    ("variable", "value", "cache"),
    [
        ("LANG", "C.UTF-8", HUB),
        ("HF_HUB_CACHE", "elsewhere", "elsewhere"),
        ("HF_HOME", "home", "home/hub"),
        ("XDG_CACHE_HOME", "xdg", "xdg/huggingface/hub"),
    ],
)
def test_the_cache_of_the_hub(
    shop: Shop, models: Path, user: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, cache: str
) -> None:
    """In any of its possible folders."""
    shop.sell("m")
    monkeypatch.setenv(variable, value if variable == "LANG" else str(user / value))
    assert_copied(shop, models, in_hub_cache(user, cache=cache), "the Hugging Face cache")


@pytest.mark.parametrize("moved", [False, True])
def test_the_models_of_ollama(
    shop: Shop, models: Path, user: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    """In the user's home, or where OLLAMA_MODELS says."""
    shop.sell("m")
    if moved:
        monkeypatch.setenv("OLLAMA_MODELS", str(user / "big"))
    source = in_ollama(user, models="big" if moved else ".ollama/models")
    assert_copied(shop, models, source, "Ollama's models")


def test_another_models_folder(shop: Shop, models: Path, tmp_path: Path) -> None:
    """By its receipt, under another name, also if a program changed its mtime; its bytes are proved in any case."""
    shop.sell("first")
    luci("install", "first", "--dir", tmp_path / "other")
    shop.sell("m")
    shop.server.serve("/m.gguf", OTHER)  # or the test would not notice
    asked, copy = len(shop.server.exchanges()), tmp_path / "other/first.gguf"
    for _ in range(2):
        ended = luci("install", "m")
        assert f"Found in {tmp_path / 'other'}: m.gguf" in ended.stderr
        assert ended.returncode == 0
        assert len(shop.server.exchanges()) == asked
        (models / "m.gguf").unlink()
        copy.touch()
    shop.server.serve("/m.gguf", DATA)
    copy.write_bytes(ROTTEN)
    ended = luci("install", "m")
    assert (ended.returncode, f"{copy} has the wrong bytes, so it is not used" in ended.stderr) == (0, True)
    assert ((models / "m.gguf").read_bytes(), copy.read_bytes()) == (DATA, ROTTEN)
    assert_nothing_left(models, "m.gguf")


@pytest.mark.parametrize("source", ["m.gguf", "deep/down/M.GGUF", "called/otherwise.bin"])
def test_a_disk_that_is_given(shop: Shop, models: Path, tmp_path: Path, source: str) -> None:
    """By name and size, or by size alone; a file that only has the name is not even read."""
    shop.sell("m")
    put(tmp_path / "usb" / "a" / "m.gguf", b"GGUF")
    copy = put(tmp_path / "usb" / source)
    assert_copied(shop, models, copy, str(tmp_path / "usb"), "--from", tmp_path / "usb")


def test_a_file_that_is_given(shop: Shop, models: Path, tmp_path: Path) -> None:
    """Under any name; a symlink is followed."""
    shop.sell("m")
    copy = put(tmp_path / "usb" / "x")
    (tmp_path / "link").symlink_to(copy)
    ended = luci("install", "m", "--from", tmp_path / "link")
    assert f"Found in {tmp_path}: m.gguf" in ended.stderr
    assert not shop.server.exchanges()
    assert not (models / "m.gguf").is_symlink()


def test_no_adopt_leaves_the_caches_but_not_what_is_given(shop: Shop, models: Path, user: Path, tmp_path: Path) -> None:
    shop.sell("m")
    in_hub_cache(user)
    in_ollama(user)
    ended = luci("install", "m", "--no-adopt")
    assert "Found in" not in ended.stderr
    assert len(shop.server.exchanges()) == 1
    (models / "m.gguf").unlink()
    put(tmp_path / "usb" / "m.gguf")
    assert "Found in" in luci("install", "m", "--no-adopt", "--from", tmp_path / "usb").stderr
    assert len(shop.server.exchanges()) == 1


def test_a_damaged_copy_is_skipped_and_the_next_one_used(shop: Shop, models: Path, user: Path) -> None:
    """Its name is the right digest, and its size is right."""
    shop.sell("m")
    rotten = in_hub_cache(user, ROTTEN, sha256(DATA))
    source = in_ollama(user)
    assert_copied(shop, models, source, "Ollama's models")
    assert rotten.read_bytes() == ROTTEN


def test_if_every_copy_is_damaged_the_file_is_fetched(shop: Shop, models: Path, user: Path) -> None:
    """The message names the disk to check."""
    shop.sell("m")
    rotten = in_hub_cache(user, ROTTEN, sha256(DATA))
    ended = luci("install", "m", "--json")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, ended.stderr
    (warned,) = (event["message"] for event in events if event["event"] == "warned")
    assert warned == f"{rotten} has the wrong bytes, so it is not used for m.gguf"
    assert (events[-1]["outcome"], events[-1]["fetched"]) == ("downloaded", len(DATA))
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


def test_a_wrong_copy_says_nothing_of_the_size(shop: Shop, models: Path, user: Path) -> None:
    """If the size was not known before."""
    url = shop.sell("m", digest=False)
    in_hub_cache(user, DATA + b"more", sha256(DATA))
    ended = luci("install", url, "--sha256", sha256(DATA))
    assert "has the wrong bytes" in ended.stderr
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA


def test_a_file_of_the_disk_that_cannot_be_proved_is_not_taken(shop: Shop, models: Path, tmp_path: Path) -> None:
    """Without a digest, its name is not enough."""
    shop.sell("m", digest=False)
    copy = put(tmp_path / "usb" / "m.gguf", OTHER)
    ended = luci("install", "m", "--from", tmp_path / "usb")
    assert f"{copy} is not used for m.gguf, because no digest is known to verify it with" in ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA
    assert luci("install", "m", "--dir", tmp_path / "d", "--from", copy, "--offline").returncode == 4
    assert not (tmp_path / "d" / "m.gguf").exists()


def test_offline_a_copy_is_enough(shop: Shop, models: Path, user: Path) -> None:
    """Without one: exit code 4, and nothing is left."""
    shop.sell("m")
    refused = luci("install", "m", "--offline")
    assert refused.returncode == 4
    assert_nothing_left(models)
    assert_copied(shop, models, in_hub_cache(user), "the Hugging Face cache", "--offline")


def test_a_missing_path_of_from_is_refused(shop: Shop, models: Path, tmp_path: Path) -> None:
    """A disk that is not mounted: exit 2, before anything happens."""
    shop.sell("m")
    ended = luci("install", "m", "--from", tmp_path / "usb")
    assert ended.returncode == 2
    assert f"--from: {tmp_path / 'usb'} does not exist" in ended.stderr
    assert not models.exists()


def test_a_set_is_copied_and_fetched_in_one(shop: Shop, models: Path, user: Path) -> None:
    """The files on this machine are copied, the others downloaded; the whole set counts as downloaded."""
    shop.sell("m", files=["m-1.gguf"])
    shop.sell("set", OTHER, files=["set-1.gguf", "set-2.gguf"])
    text = shop.file.read_text()
    shop.file.write_text(text.replace(sha256(OTHER), sha256(DATA), 1))
    in_hub_cache(user)
    ended = luci("install", "set", "--json")
    assert ended.returncode == 0, ended.stderr
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (last["outcome"], last["fetched"]) == ("downloaded", len(OTHER))
    assert ((models / "set-1.gguf").read_bytes(), (models / "set-2.gguf").read_bytes()) == (DATA, OTHER)


def test_a_kept_part_gets_the_rest_from_the_copy(shop: Shop, models: Path, user: Path) -> None:
    """Verified bytes are not copied again."""
    shop.sell("m")
    in_hub_cache(user, bytes(200_000) + DATA[200_000:], sha256(DATA))
    kill_after(models, DATA, 200_000, "m.gguf", artifact_of(DATA, "m.gguf"))
    ended = luci("install", "m", "--json")
    last = [json.loads(line) for line in ended.stdout.splitlines()][-2:]
    assert (last[0]["event"], last[0]["done"], last[1]["outcome"]) == ("copying", len(DATA), "copied")
    assert (models / "m.gguf").read_bytes() == DATA
    assert not shop.server.exchanges()


def test_a_small_file_is_found_by_its_git_digest(user: Path, tmp_path: Path) -> None:
    """The cache names files that are not LFS by their git digest."""
    from luci_dl.install.local_copies import Copies
    from luci_dl.model import Artifact, Digest

    sha1 = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA, usedforsecurity=False).hexdigest()
    source = in_hub_cache(user, digest=sha1)
    in_hub_cache(user, OTHER)
    copies = Copies({"HF_HOME": str(user / ".cache/huggingface")}, [], [], caches=True, emit=print)
    found = copies.find(
        Artifact("c.json", ("https://h/c",), len(DATA), digests={Digest.GIT_BLOB: sha1}), tmp_path / "c.json"
    )
    assert [copy.path for copy in found] == [source]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_disk_that_hangs_holds_up_no_signal(shop: Shop, models: Path, user: Path, signum: signal.Signals) -> None:
    """Ctrl+C in the middle of a copy leaves nothing."""
    shop.sell("m")
    in_hub_cache(user)
    with Spawned("install", "m", command=patched(HALT)) as copying:
        copying.wait_for("halted")
        copying.signal(signum)
        assert copying.wait(10) == -signum
    assert copying.err.endswith(STOPPED + DELETED.format("m.gguf"))
    assert_nothing_left(models)


def test_a_killed_copy_is_resumed(shop: Shop, models: Path, user: Path) -> None:
    """Or removed by `clean`."""
    shop.sell("m")
    in_hub_cache(user)
    for after in (["clean"], ["install", "m"]):
        with Spawned("install", "m", command=patched(HALT)) as copying:
            copying.wait_for("halted")
            copying.signal(signal.SIGKILL)
        assert luci(*after).returncode == 0
        assert_nothing_left(models, *(["m.gguf"] if after[0] == "install" else []))


@pytest.mark.parametrize("touched", [False, True])
def test_a_file_that_was_renamed_by_hand_is_found(shop: Shop, models: Path, touched: bool) -> None:
    """By its size, also if it was copied and the old one deleted; the right one of two, and it keeps its new name."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    asked = len(shop.server.exchanges())
    put(models / "0-same-size.gguf", ROTTEN)
    renamed = models / "mine" / "other.gguf"
    renamed.parent.mkdir()
    (models / "m.gguf").rename(renamed)
    if touched:
        renamed.touch()
    assert "would be copied from" in luci("install", "m", "--dry-run").stdout
    ended = luci("install", "m")
    assert (ended.returncode, ended.stdout) == (0, f"{models / 'm.gguf'}\n"), ended.stderr
    assert f"📦 Found in {models} as mine/other.gguf: m.gguf" in ended.stderr
    assert (models / "m.gguf").read_bytes() == renamed.read_bytes() == DATA
    assert len(shop.server.exchanges()) == asked
    assert_nothing_left(models, "m.gguf", "0-same-size.gguf", "mine/", "mine/other.gguf")
