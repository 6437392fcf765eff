"""`luci install s3://...` and `luci push`, as processes, with a real store on the loopback."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import ollama_rules
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.procs import Code, Spawned, files_left, luci, wait_until
from tests.servers.registry import MODEL, TEMPLATE, Registry

if TYPE_CHECKING:
    from tests.bucket import Call, Store

BIG = make_gguf(24 << 20)
WORD = f"s3://models/m.gguf#sha256={sha256(DATA)}"


def signatures(store: Store) -> list[str]:
    """Of the requests to read, in order, each once."""
    found = [call.query["X-Amz-Signature"] for call in store.calls if call.method == "GET"]
    return list(dict.fromkeys(found))


def texts_in(folder: Path) -> str:
    return "".join((folder / name).read_text(errors="replace") for name in files_left(folder) if name[-1] != "/")


def test_an_object_is_installed_by_its_digest(store: Store, models: Path) -> None:
    """Found by its address afterwards; offline, too."""
    store.put("m.gguf", DATA)
    assert luci("install", WORD).stdout == f"{models}/m.gguf\n"
    assert (models / "m.gguf").read_bytes() == DATA
    assert luci("path", "s3://models/m.gguf").stdout == f"{models}/m.gguf\n"
    assert "already installed" in luci("install", "--offline", WORD).stderr
    assert_nothing_left(models, "m.gguf")


def test_an_empty_object_is_a_file(store: Store, models: Path) -> None:
    """Of which a store serves no range."""
    store.put("empty.bin", b"")
    assert luci("install", f"s3://models/empty.bin#sha256={sha256(b'')}").returncode == 0
    assert_nothing_left(models, "empty.bin")


def test_wrong_bytes_are_not_installed(store: Store, models: Path) -> None:
    """A digest is no ETag: that of parts says nothing of the file."""
    store.put("m.gguf", OTHER)
    assert_refused(luci("install", WORD), 5, "wrong", sha256(DATA))
    assert_nothing_left(models)


def test_without_a_digest_nothing_but_the_length_is_checked(store: Store, models: Path) -> None:
    """As for every address; luci says so."""
    store.put("m.gguf", DATA)
    ended = luci("install", "s3://models/m.gguf")
    assert ended.returncode == 0
    assert "no digest is known" in ended.stderr
    assert sha256(DATA) in ended.stderr


def test_a_signature_that_ends_is_made_anew(store: Store, models: Path) -> None:
    """In the middle of the file, which goes on where it was."""
    store.put("m.gguf", DATA)
    store.cut, store.pause = 100_000, lambda: time.sleep(1.1)  # signatures differ by the second

    def refuse(call: Call) -> str | None:
        first = signatures(store)[0]
        return "AccessDenied" if call.number > 1 and call.query["X-Amz-Signature"] == first else None

    store.refuse = refuse
    ended = luci("install", "--verbose", "-c", "1", WORD)
    assert ended.returncode == 0, ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA
    assert len(signatures(store)) == 2
    assert ": 403 in" in ended.stderr
    assert "bytes 100000-" in ended.stderr


def test_what_was_interrupted_goes_on_days_later(store: Store, models: Path) -> None:
    """With a new signature; the journal knows the object alone."""
    store.put("m.gguf", DATA)
    store.cut = 200_000
    store.refuse = lambda call: "InternalError" if call.number > 1 else None
    assert_refused(luci("install", "--retries", "0", WORD), 4, "the connection was lost")
    assert [name for name in files_left(models) if name.endswith(".part")]
    store.refuse = lambda _call: None
    store.calls.clear()
    ended = luci("install", "--verbose", WORD)
    assert ended.returncode == 0, ended.stderr
    assert "bytes 200000-" in ended.stderr
    assert (models / "m.gguf").read_bytes() == DATA


def test_credentials_that_end_in_the_middle_keep_the_part(store: Store, models: Path) -> None:
    """luci says what to do; with new ones the rest is fetched."""
    store.put("m.gguf", DATA)
    store.cut = 200_000
    store.refuse = lambda call: "ExpiredToken" if call.number > 1 else None
    assert_refused(
        luci("install", "--retries", "1", WORD), 3, "denies access", "AWS_ACCESS_KEY_ID", "Kept partial download"
    )
    store.refuse = lambda _call: None
    assert luci("install", WORD).returncode == 0
    assert_nothing_left(models, "m.gguf")


def test_no_secret_is_on_disk_or_screen(store: Store, home: Path, models: Path) -> None:
    """Neither while a file comes, nor afterwards: signature, key, and secret."""
    from tests.bucket import KEY, SECRET

    store.put("m.gguf", DATA)
    store.cut, store.pause = 100_000, lambda: time.sleep(1)
    with Spawned("install", "--verbose", WORD) as run:
        wait_until(lambda: any(name.endswith(".part") for name in files_left(models)))
        seen = texts_in(home) + luci("status", "--json").stdout
        assert run.wait() == 0
        seen += texts_in(home) + run.out + run.err
    seen += luci("push", "m.gguf", "s3://models/lab", "--json").stdout
    seen += luci("info", "m.gguf", "--json").stdout + luci("list", "--json").stdout
    assert "s3://models/m.gguf" in seen
    for secret in (KEY, SECRET, "X-Amz-", *signatures(store)):
        assert secret not in seen


def test_what_was_pushed_is_installed_elsewhere(
    store: Store, shop: Shop, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the place alone; luci prints one result a line as JSON."""
    shop.sell("m", files=["m.gguf", "m-mmproj.gguf"])
    assert luci("install", "m").returncode == 0
    ended = luci("push", "m", "s3://models/lab", "--json")
    assert ended.returncode == 0, ended.stderr
    (pushed,) = [json.loads(line) for line in ended.stdout.splitlines() if '"moved"' in line]
    assert (pushed["folder"], pushed["outcome"], pushed["copied"]) == ("s3://models/lab/m", "pushed", 2 * len(DATA))
    assert "is already in s3://models/lab/m" in luci("push", "m", "s3://models/lab").stdout
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    other = tmp_path / "elsewhere/models"
    assert luci("install", "--dry-run", "--json", pushed["folder"]).stdout.count('"digest_origin": "bucket"') == 2
    assert luci("install", "s3://models/lab/m").stdout.splitlines()[0] == f"{other}/m.gguf"
    assert_nothing_left(other, "m.gguf", "m-mmproj.gguf")
    (model,) = json.loads(luci("list", "--json").stdout)
    assert model["name"] == "s3://models/lab/m"
    assert json.loads(luci("outdated", "--json").stdout)[0]["state"] == "current"
    (other / "m.gguf").write_bytes(DATA[:-1] + b"!")
    assert luci("verify", "--repair").returncode == 0
    assert (other / "m.gguf").read_bytes() == DATA


def test_a_manifest_that_lies_installs_nothing(
    store: Store, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About the bytes of a file, or where it goes."""
    shop.sell("m")
    assert luci("install", "m").returncode == 0
    assert luci("push", "m", "s3://models/lab").returncode == 0
    manifest = store.get("lab/m/luci.json")
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    store.put("lab/m/luci.json", manifest.replace(b'"m.gguf"', b'"../m.gguf"'))
    assert_refused(luci("install", "s3://models/lab/m"), 3, "not a valid manifest", "..")
    store.put("lab/m/luci.json", manifest)
    store.put(f"lab/m/{sha256(DATA)}/m.gguf", OTHER)
    assert_refused(luci("install", "s3://models/lab/m"), 5, "wrong")
    assert_nothing_left(tmp_path / "elsewhere/models")


def test_a_model_of_ollama_s_registry_keeps_its_template(
    store: Store, ollama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way through a bucket, so that it is linked to Ollama as one from the registry is."""
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, b"{{ .Prompt }}"))
        monkeypatch.setenv("OLLAMA_REGISTRY", registry.address)
        assert luci("install", "ollama:m").returncode == 0
    assert luci("push", "ollama:m", "s3://models/lab").returncode == 0
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    assert luci("install", "s3://models/lab/ollama-m-latest").returncode == 0
    ended = luci("link", "ollama", "s3://models/lab/ollama-m-latest")
    assert ended.returncode == 0, ended.stderr
    (linked,) = ollama_rules.listed(ollama).values()
    assert (linked["model"], linked["template"]) == (DATA, b"{{ .Prompt }}")


def test_what_is_pushed_anew_is_an_upgrade(store: Store, shop: Shop, tmp_path: Path) -> None:
    """For those who installed the earlier one from there."""
    other = {"LUCI_HOME": str(tmp_path / "elsewhere")}
    for data, state in ((DATA, "current"), (OTHER, "outdated")):
        shop.sell("m", data)
        assert luci("install", "m", "--force").returncode == 0
        assert luci("push", "m", "s3://models/lab").returncode == 0
        assert luci("install", "s3://models/lab/m", env=other).returncode == 0
        assert json.loads(luci("outdated", "--json", env=other).stdout)[0]["state"] == state
    assert luci("upgrade", "--all", "--yes", env=other).returncode == 0
    assert (tmp_path / "elsewhere/models/m.gguf").read_bytes() == OTHER


def test_an_interrupted_push_leaves_no_manifest(store: Store, shop: Shop, models: Path) -> None:
    """It dies of the signal; the next one completes it."""
    shop.sell("big", BIG)
    assert luci("install", "big").returncode == 0

    def slow(call: Call) -> None:
        time.sleep(0.2 if call.method == "PUT" else 0)

    store.refuse = slow
    small_parts = Code("from luci_dl.net import objects; objects.PART_BYTES = 5 << 20; objects.PARTS_AT_ONCE = 1")
    with Spawned("push", "big", "s3://models/lab", command=small_parts) as run:
        wait_until(lambda: bool(store.asked("PUT")))
        run.signal(signal.SIGINT)
        began = time.monotonic()
        assert run.wait() == -signal.SIGINT
        assert time.monotonic() - began < 5
    assert "Push interrupted by user" in run.err
    assert "Traceback" not in run.err
    assert store.keys() == []
    assert store.unfinished() == 0
    store.refuse = lambda _call: None
    assert luci("push", "big", "s3://models/lab").returncode == 0
    assert store.get(f"lab/big/{sha256(BIG)}/big.gguf") == BIG


def test_without_the_extra_the_message_says_how_to_get_it(models: Path) -> None:
    """Nothing else needs it."""
    missing = Code("import sys; sys.modules['obstore'] = None").command
    for words in (["install", "s3://models/m"], ["install", WORD], ["push", "m", "s3://models/lab"]):
        with Spawned(*words, command=missing) as run:
            assert run.wait() == 2
            assert "pip install 'luci-dl[s3]'" in run.err
    with Spawned("list", command=missing) as run:
        assert run.wait() == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["install", "s3://models"], 2, "s3://BUCKET/KEY"),
        (["install", "s3://models/none"], 3, "no such file"),
        (["install", "s3://none/m"], 3, "no bucket s3://none"),
        (["install", "--offline", "s3://models/none"], 4, "offline"),
        (["install", "-o", "x.gguf", "--header", "A: b", "s3://models/m.gguf"], 2, "--header"),
        (["install", WORD.replace("/m.", "/x.")], 3, "s3://models/x.gguf: the store has no such file"),
        (["push", "m"], 2, "the bucket last"),
        (["push", "m", "/media/usb"], 2, "s3://BUCKET"),
        (["push", "m", "s3://models"], 3, "no model"),
    ],
)
def test_what_cannot_be_is_refused(store: Store, models: Path, words: list[str], code: int, text: str) -> None:
    store.put("m.gguf", DATA)
    assert_refused(luci(*words), code, text)
    assert_nothing_left(models)
