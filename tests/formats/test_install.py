"""Without a digest, a file is only installed if its bytes show that it is what its name says, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import assert_nothing_left, assert_refused, sha256
from tests.formats.files import V3, model, onnx, weights
from tests.formats.test_check import ERROR, PAGES, POINTER, XML
from tests.procs import luci
from tests.servers import FaultyServer, faults

WHOLE = {"m.gguf": model(), "m.safetensors": weights(), "m.onnx": onnx()}


@pytest.mark.parametrize(
    ("name", "data", "texts"),
    [
        ("m.bin", POINTER, ("m.bin is a Git LFS pointer, not the file itself: oid sha256:abab", "/resolve/")),
        ("m.safetensors", PAGES[0], ("is a web page, not a safetensors file", "log in there")),
        ("m.onnx", XML, ("is an XML document, not an ONNX file",)),
        ("m.pt", ERROR, ("is an error message in JSON, not a model: it begins with", "Unauthorized")),
        ("weights", b"", ("weights is empty",)),
        ("m.safetensors", b"Internal Error", ("is not a safetensors file: it begins with 'Internal Error', expected",)),
    ],
)
@pytest.mark.parametrize("fault", [faults.ok(), faults.chunked(), faults.trickle(4000)], ids=["", "chunked", "slow"])
def test_what_is_no_model_is_refused_and_removed(
    server: FaultyServer, home: Path, name: str, data: bytes, texts: tuple[str, ...], fault: faults.Fault
) -> None:
    """Whatever the name, and however the bytes come; the message says what it is and what to do."""
    ended = luci("install", server.serve(f"/{name}", data, [fault]), "-o", name)
    assert_refused(ended, 5, *texts)
    assert_nothing_left(home / "models")


def test_a_large_web_page_ends_at_its_first_bytes(server: FaultyServer, home: Path) -> None:
    """Nothing more of it is fetched: the rest would take an hour."""
    url = server.serve("/m.safetensors", PAGES[0] + bytes(4_000_000), [faults.trickle(1000)])
    assert_refused(luci("install", url), 5, "is a web page")
    assert_nothing_left(home / "models")


@pytest.mark.parametrize("name", WHOLE)
def test_a_truncated_file_is_refused_and_removed(server: FaultyServer, home: Path, name: str) -> None:
    """The length from the server is right, so only the header shows it."""
    url = server.serve(f"/{name}", WHOLE[name][:-1])
    assert_refused(luci("install", url), 5, f"{name} is truncated or damaged: ", "another address")
    assert_nothing_left(home / "models")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_installed(server: FaultyServer, home: Path, name: str) -> None:
    """luci reports what it could check and what not."""
    ended = luci("install", server.serve(f"/{name}", WHOLE[name]))
    assert ended.returncode == 0, ended.stderr
    assert "no digest is known, so nothing but its length and header was checked" in ended.stderr
    assert_nothing_left(home / "models", name)


@pytest.mark.parametrize(
    ("name", "data"),
    [("config.json", ERROR), ("page.html", PAGES[0]), ("notes.txt", b"<unk>"), ("m.bin", bytes(99)), ("m", b"{}")],
)
def test_other_files_are_what_they_are(server: FaultyServer, home: Path, name: str, data: bytes) -> None:
    """A text under the name of a text is no reason to refuse, nor is what luci cannot read."""
    ended = luci("install", server.serve(f"/{name}", data), "-o", name)
    assert ended.returncode == 0, ended.stderr
    assert "nothing but its length and first bytes was checked" in ended.stderr
    assert_nothing_left(home / "models", name)


def test_a_header_of_a_later_version_is_no_reason_to_refuse(server: FaultyServer, home: Path) -> None:
    url = server.serve("/later.gguf", b"GGUF" + V3.number("I", 9) + bytes(1000))
    assert luci("install", url).returncode == 0
    assert_nothing_left(home / "models", "later.gguf")


@pytest.mark.parametrize(
    ("name", "data"), [("m.gguf", model(cut=1)), ("m.safetensors", weights(cut=1)), ("m.bin", POINTER), ("m", b"")]
)
def test_a_digest_overrules_the_contents(server: FaultyServer, home: Path, name: str, data: bytes) -> None:
    """The digest names exactly these bytes, truncated or not."""
    url = server.serve(f"/{name}", data)
    assert luci("install", url, "-o", name, "--sha256", sha256(data)).returncode == 0
    assert (home / "models" / name).read_bytes() == data


@pytest.mark.parametrize("data", [POINTER, PAGES[0], b""])
def test_a_wrong_file_at_the_target_is_named(server: FaultyServer, home: Path, data: bytes) -> None:
    """In the same words; it stays, and --force replaces it."""
    models = home / "models"
    models.mkdir(parents=True)
    (models / "m.bin").write_bytes(data)
    url = server.serve("/m.bin", bytes(99))
    for options in ([], ["--dry-run"]):
        assert_refused(luci("install", url, *options), 5, "luci did not install it, and m.bin is ", "--force")
    assert (models / "m.bin").read_bytes() == data
    assert_nothing_left(models, "m.bin")
    assert luci("install", url, "--force").returncode == 0
    assert (models / "m.bin").read_bytes() == bytes(99)
