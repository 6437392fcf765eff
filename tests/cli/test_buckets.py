"""`luci install s3://...`, as processes, with a real store on the loopback."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.shop import DATA, OTHER, assert_nothing_left, assert_refused, sha256
from tests.procs import Code, Spawned, files_left, luci, wait_until

if TYPE_CHECKING:
    from tests.bucket import Call, Store

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
