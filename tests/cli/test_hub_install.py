"""`luci install hf:...` as a user runs it, against a Hub whose files lie on another host."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import assert_nothing_left, assert_refused
from tests.interrupting import STOPPED, interrupt
from tests.procs import LUCI, Spawned, luci, wait_until
from tests.servers import FaultyServer
from tests.servers.faults import status
from tests.servers.hub import Hub

DATA, OTHER = make_gguf(300_000), make_gguf(300_000, seed=1)
SHARDS = [f"big-Q4_K_M-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
FOLDER = "me/model"
SECRET = "hf_secret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that stands in for the real one."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def tokens_seen(hub: Hub, host: str) -> list[str | None]:
    """The Authorization header of each request to the host."""
    return [seen.headers.get("authorization") for seen in hub.seen(host)]


def below(models: Path, *names: str) -> list[str]:
    return [str(models / FOLDER / name) for name in names]


def test_a_quantisation_is_installed_with_its_projector(hub: Hub, models: Path) -> None:
    """Below OWNER/REPO; `path` and `info` find it by the reference and by the address of the page."""
    hub.add(FOLDER, {"see-Q4_K_M.gguf": DATA, "see-Q8_0.gguf": OTHER, "mmproj-F16.gguf": OTHER})
    ended = luci("install", "hf:me/model:q4_k_m")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == below(models, "see-Q4_K_M.gguf", "mmproj-F16.gguf")
    assert (models / FOLDER / "see-Q4_K_M.gguf").read_bytes() == DATA
    assert_nothing_left(models, "me/", "me/model/", f"{FOLDER}/mmproj-F16.gguf", f"{FOLDER}/see-Q4_K_M.gguf")
    for word in ("hf:me/model:q4_k_m", "hf:me/model:Q4_K_M", "https://huggingface.co/me/model:Q4_K_M"):
        assert luci("path", word).stdout.splitlines() == below(models, "see-Q4_K_M.gguf")
    assert "already installed" in luci("install", f"{hub.endpoint}/me/model:Q4_K_M").stderr


def test_shards_are_one_transaction(hub: Hub, models: Path) -> None:
    """If one shard is wrong, none is installed."""
    repo = hub.add(FOLDER, dict.fromkeys(SHARDS, DATA))
    repo.swapped[SHARDS[2]] = OTHER
    assert_refused(luci("install", "hf:me/model"), 5, SHARDS[2])
    assert_nothing_left(models)
    repo.swapped.clear()
    assert luci("install", "hf:me/model").stdout.splitlines() == below(models, *SHARDS)


def test_a_repository_without_gguf_is_installed_whole(hub: Hub, models: Path) -> None:
    """Large files are proved by their SHA-256, small ones by git's digest, and hidden ones stay where they are."""
    files = {"model.safetensors": DATA, "config.json": b"{}", "sub/vocab.txt": b"", ".gitattributes": b"x"}
    hub.add(FOLDER, files)
    assert_refused(luci("install", "hf:me/model"), 3, "no GGUF file", "--all-files")
    ended = luci("install", "hf:me/model", "--all-files")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == below(models, "model.safetensors", "config.json", "sub/vocab.txt")
    assert "no digest" not in ended.stderr
    there = {name: (models / FOLDER / name).read_bytes() for name in files if name[0] != "."}
    assert there == {name: data for name, data in files.items() if name[0] != "."}


def test_files_that_may_run_code_are_named_or_left_out(hub: Hub, models: Path) -> None:
    """In a dry run as in the install; where nothing else is there, it ends with 3 and nothing is fetched."""
    hub.add(FOLDER, {"pytorch_model.bin": DATA, "config.json": b"{}", "sub/optimizer.pt": OTHER})
    for options in (["--dry-run"], []):
        ended = luci("install", "hf:me/model", "--all-files", "--safe-only", *options)
        assert ended.returncode == 0, ended.stderr
        assert "--safe-only leaves them out: me/model/pytorch_model.bin, me/model/sub/optimizer.pt\n" in ended.stderr
        assert "pytorch_model.bin" not in ended.stdout
    assert_nothing_left(models, "me/", "me/model/", f"{FOLDER}/config.json")
    for word in ("hf:me/model/pytorch_model.bin", "hf:me/model"):
        refused = luci("install", word, "--safe-only", *(["--include", "*.bin"] if word == "hf:me/model" else []))
        assert_refused(refused, 3, f"--safe-only leaves nothing of {word}")
    for options in (["--dry-run"], []):
        ended = luci("install", "hf:me/model", "--all-files", *options)
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.count("may run code when loaded") == 1
    assert (models / FOLDER / "pytorch_model.bin").read_bytes() == DATA


def test_a_shard_that_the_index_names_and_the_repository_lacks_is_reported(hub: Hub, models: Path) -> None:
    """What is there is installed all the same: the user may have chosen these files."""
    index = json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode()
    hub.add(FOLDER, {"model.safetensors.index.json": index, "one.safetensors": DATA})
    ended = luci("install", "hf:me/model", "--all-files")
    assert ended.returncode == 0, ended.stderr
    assert "names 1 file that will be missing, such as two.safetensors" in ended.stderr
    assert "missing" not in luci("install", "hf:me/model", "--include", "one*", "--force").stderr


def test_many_files_do_not_meet_the_limit_of_open_ones(hub: Hub, models: Path) -> None:
    """The usual soft limit of macOS is 256; luci may raise its own."""
    hub.add(FOLDER, {f"{number}.json": b"{}" for number in range(30)})
    limited = ["sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh", *LUCI]
    with Spawned("install", "hf:me/model", "--all-files", command=limited) as many:
        assert many.wait() == 0, many.err
    assert len(list((models / FOLDER).iterdir())) == 30


def test_a_small_file_with_wrong_bytes_is_not_installed(hub: Hub, models: Path) -> None:
    """Its git digest shows it."""
    hub.add(FOLDER, {"config.json": b"{}"}).swapped["config.json"] = b"[]"
    assert_refused(luci("install", "hf:me/model/config.json"), 5, "config.json")
    assert_nothing_left(models)


@pytest.mark.parametrize(
    ("word", "code", "texts"),
    [
        ("hf:me/gated", 3, ("me/gated is gated", "Accept it at https://huggingface.co/me/gated", "HF_TOKEN")),
        ("hf:me/private", 3, ("or it is private", "HF_TOKEN")),
        ("hf:me/none", 3, ("has no repository me/none",)),
        ("hf:me/model@v2", 3, ('no revision "v2"',)),
        ("hf:me/model:Q5_K_M", 3, ("no model that matches Q5_K_M; did you mean Q4_K_M", "300kB  m-Q4_K_M.gguf")),
        ("hf:me/model/m-Q4_K_N.gguf", 3, ("did you mean m-Q4_K_M.gguf",)),
        ("hf:me", 2, ("expected hf:OWNER/REPO",)),
    ],
)
def test_refusals_say_what_to_do(hub: Hub, models: Path, word: str, code: int, texts: tuple[str, ...]) -> None:
    """And leave nothing."""
    hub.add("me/gated", {"m-Q4_K_M.gguf": DATA}, gated=True)
    hub.add("me/private", {"m-Q4_K_M.gguf": DATA}, private=True)
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "m-Q8_0.gguf": DATA})
    assert_refused(luci("install", word, "--retries", "0"), code, *texts)
    assert_nothing_left(models)


@pytest.mark.parametrize("connections", ["1", "4"])
def test_the_token_goes_to_the_hub_alone(hub: Hub, models: Path, connections: str) -> None:
    """With every request to it, and with none to the host of the files; each address is used only once."""
    hub.add("me/new", {"m-Q4_K_M.gguf": make_gguf(40_000_000), "config.json": b"{}"}, private=True)
    hub.renamed[FOLDER] = "me/new"
    hub.tokens.add(SECRET)
    hub.uses = 1
    ended = luci("install", "hf:me/model", "--all-files", "-c", connections, env={"HF_TOKEN": SECRET})
    assert ended.returncode == 0, ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    assert hub.seen("store")
    assert set(tokens_seen(hub, "hub")) == {f"Bearer {SECRET}"}
    assert set(tokens_seen(hub, "store")) == {None}
    assert not [path for path in models.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_no_token_goes_to_a_mirror(hub: Hub, models: Path) -> None:
    """Not even when wrong bytes make luci ask each address alone; in the end the right ones are installed."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA}).swapped["m-Q4_K_M.gguf"] = OTHER
    hub.tokens.add(SECRET)
    with Hub() as mirror:
        mirror.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
        ended = luci("install", "hf:me/model", env={"HF_TOKEN": SECRET, "LUCI_MIRRORS": mirror.endpoint})
        assert ended.returncode == 0, ended.stderr
        assert f"again from {mirror.endpoint}" in ended.stderr
        assert set(tokens_seen(mirror, "")) == {None}
    assert set(tokens_seen(hub, "store")) == {None}
    assert (models / FOLDER / "m-Q4_K_M.gguf").read_bytes() == DATA


def test_a_mirror_replaces_a_hub_that_is_down(hub: Hub, server: FaultyServer, models: Path) -> None:
    """While the Hub is down, a mirror lists the files; luci says who stated the digests."""
    hub.down = True
    with Hub() as mirror:
        mirror.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
        mirrors = {"LUCI_MIRRORS": f"{server.url('/none')} {mirror.endpoint}"}
        server.serve("/none/api/models/me/model/revision/main", faults=[status(410)])
        ended = luci("install", "hf:me/model", env=mirrors)
    assert ended.returncode == 0, ended.stderr
    assert f"known only from the mirror {mirror.endpoint}" in ended.stderr
    assert "Retrying" not in ended.stderr.partition("Downloading")[2]
    assert (models / FOLDER / "m-Q4_K_M.gguf").read_bytes() == DATA


def test_a_newer_commit_is_only_reported_without_force(hub: Hub, models: Path) -> None:
    """The other files of the repository may change as they like."""
    repo = hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA, "README.md": b"one"})
    assert luci("install", "hf:me/model").returncode == 0
    repo.revisions["main"] = {"m-Q4_K_M.gguf": DATA, "README.md": b"two"}
    assert "already installed" in luci("install", "hf:me/model").stderr
    repo.revisions["main"] = {"m-Q4_K_M.gguf": OTHER}
    ended = luci("install", "hf:me/model")
    assert ended.returncode == 0
    assert "a newer version exists" in ended.stderr
    assert luci("install", "hf:me/model", "--force").returncode == 0
    assert (models / FOLDER / "m-Q4_K_M.gguf").read_bytes() == OTHER


def test_offline_it_answers_from_what_is_installed(hub: Hub, models: Path) -> None:
    """Without any request; a model that is not installed is exit code 4."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    assert luci("install", "hf:me/model").returncode == 0
    asked = len(hub.seen())
    offline: Mapping[str, str] = {"HF_HUB_OFFLINE": "1"}
    ended = luci("install", "hf.co/me/model", env=offline)
    assert (ended.returncode, ended.stdout.splitlines()) == (0, below(models, "m-Q4_K_M.gguf"))
    assert_refused(luci("install", "hf:me/other", "--offline"), 4, "hf:me/other is not installed", hub.endpoint)
    assert len(hub.seen()) == asked


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_listing_is_answered_at_once(hub: Hub, models: Path, signum: int) -> None:
    """Nothing was created, so nothing is left, and luci dies of the signal."""
    hub.add(FOLDER, {"m-Q4_K_M.gguf": DATA})
    hub.stall = True
    with Spawned("install", "hf:me/model") as asking:
        assert hub.stalled.wait(10)
        assert interrupt(asking, [signum]) < 2
        assert asking.wait() == -signum
        assert asking.err == STOPPED
    assert not models.exists()


def test_a_signal_during_the_download_leaves_nothing(hub: Hub, models: Path) -> None:
    """Of a set of files, too."""
    hub.add(FOLDER, dict.fromkeys(SHARDS, make_gguf(2_000_000)))
    hub.rate = 100_000
    with Spawned("install", "hf:me/model") as loading:
        wait_until(lambda: hub.seen("store"))
        wait_until(lambda: list(models.rglob("*.journal")))
        assert interrupt(loading, [signal.SIGINT]) < 2
        assert loading.wait() == -signal.SIGINT
        assert STOPPED in loading.err
    assert_nothing_left(models)


def test_the_lan_is_asked_first_unless_an_option_says_no(hub: Hub, models: Path, server: FaultyServer) -> None:
    """The user reads which server sends."""
    repo = hub.add(FOLDER, {"m.gguf": DATA})
    target = f"/{FOLDER}/resolve/{repo.commit('main')}/m.gguf"
    lan = {"LUCI_LAN": server.url("").removesuffix("/")}
    server.serve(target, DATA)
    ended = luci("install", "hf:me/model", env=lan)
    assert ended.returncode == 0, ended.stderr
    assert f"Downloading m.gguf from 127.0.0.1:{server.port}\n" in ended.stderr
    assert (models / FOLDER / "m.gguf").read_bytes() == DATA
    assert not hub.seen("store")
    for command in (["install", "hf:me/model", "--force"], ["verify", "--repair"], ["upgrade", "--all", "--yes"]):
        path = models / FOLDER / "m.gguf"
        path.write_bytes(OTHER)
        repo.revisions["main"] = {"m.gguf": DATA} if command[0] != "upgrade" else {"m.gguf": OTHER + b"\0"}
        ended = luci(*command, "--no-lan", env=lan)
        assert ended.returncode == 0, ended.stderr
    assert len(server.exchanges()) == 1
    assert hub.seen("store")
