"""What is no model is refused by its bytes, for every name that does not allow for it."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.errors import IntegrityError, OtherFile
from luci_dl.formats.check import check_beginning, check_whole
from luci_dl.formats.reading import BEGINNING
from luci_dl.formats.table import FORMATS
from tests.formats.files import REAL, REAL_ONNX, REAL_SAFETENSORS, model, onnx, reading, weights

OID = "ab" * 32
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 5000000000\n".encode()
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
ERROR = b'{"error": "Unauthorized"}'
PAGES = [
    b"<!DOCTYPE html><title>Log in</title>",
    b"<!doctype HTML>",
    b"\xef\xbb\xbf\r\n  <HTML lang=en>",
    b"<!-- saved --> <!-- -- > again -->\n<html>",
    b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC>",
    b"\n<head><meta charset=utf-8>",
    b"<script>location='/login'</script>",
]
ERRORS = [
    ERROR,
    b'\xef\xbb\xbf\n{"message":"Not Found","documentation_url":"x"}',
    b'[{"errors": []}]',
    b'{"detail": "no such file"}',
    b'{"Code": 404}',
]
NAMES = ["m.gguf", "m.safetensors", "m.onnx", "m.bin", "m.PT", "m.tflite", "m", "m.tar.gz", "merges"]
WHOLE = {"m.gguf": model(), "m.safetensors": weights(), "m.onnx": onnx()}


def whole(name: str, data: bytes) -> None:
    check_whole(name, reading(data), len(data))


def begins(name: str, data: bytes, *, proved: bool = False) -> None:
    check_beginning(name, 0, data[:BEGINNING], proved=proved)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_model_is_refused_for_every_name(name: str) -> None:
    """A pointer, a web page and XML by their first bytes; an error in JSON and an empty file as a whole."""
    for data, what in [(POINTER, "a Git LFS pointer, not the file itself"), (XML, "an XML document")]:
        with pytest.raises(OtherFile, match=f"^{name} is {what}"):
            begins(name, data)
    for page in PAGES:
        with pytest.raises(OtherFile, match=f"^{name} is a web page, not ") as refused:
            begins(name, page)
        assert "log in" in refused.value.hint
    for data in (POINTER, XML, b"", *PAGES, *ERRORS):
        with pytest.raises(OtherFile, match=f"^{name} is "):
            whole(name, data)


@pytest.mark.parametrize("pointer", [POINTER, POINTER.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + POINTER])
def test_a_pointer_is_named_with_what_it_points_to(pointer: bytes) -> None:
    with pytest.raises(OtherFile, match=f": oid sha256:{OID}, size 5000000000$") as refused:
        whole("m.bin", pointer)
    assert "/resolve/" in refused.value.hint


@pytest.mark.parametrize(
    "text", [b"Internal Error", b"Not Found", b"\0" * 99, b"PK\x03\x04" + bytes(9), b"\x89PNG\r\n\x1a\n"]
)
@pytest.mark.parametrize("name", WHOLE)
def test_a_known_format_is_nothing_else(name: str, text: bytes) -> None:
    """The first bytes alone show it."""
    with pytest.raises(OtherFile, match=f"{name} is not an? .* file: it begins with .*, expected "):
        begins(name, text)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *WHOLE.items(),
        ("m.GGUF", REAL),
        ("m.safetensors", REAL_SAFETENSORS),
        ("m.onnx", REAL_ONNX),
        ("config.json", ERROR),
        ("config.json", b"[]"),
        ("README.md", b"# A model\n<p>"),
        ("notes.txt", ERROR),
        ("page.html", PAGES[0]),
        ("page.HTM", XML),
        ("openvino.xml", XML),
        ("merges", b'{"a": 1}'),
        ("m.bin", b"lmgg" + bytes(99)),
        ("m.bin", b"{}" + bytes(99)),
        ("m.bin", b"{" * 60_000),
        ("m.bin", b'{"error": 1}' + b" " * (1 << 16)),
        ("m.pkl", b"(dp0\n."),
        ("vocab", b"version 1.0"),
        ("m.xyz", b"<unk>\n<s>"),
    ],
)
def test_what_may_be_the_file_passes(name: str, data: bytes) -> None:
    """A file in JSON may be an error message of itself; what only looks like a text at first is no text."""
    begins(name, data)
    whole(name, data)


@pytest.mark.parametrize("data", [b"<!---->" * 70, b"<!--" * 9000, b"<?xml" * 9000, b"{" * 60_000, b"[[1]," * 9000])
def test_hostile_texts_cost_little(data: bytes) -> None:
    """No pattern backtracks."""
    began = time.process_time()
    with contextlib.suppress(OtherFile):
        whole("m.bin", data)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", ["m.bin", "m.onnx"])
def test_json_is_no_model(name: str) -> None:
    """Even if it has nothing of an error."""
    with pytest.raises(OtherFile, match=f"{name} is (a|not)"):
        whole(name, b'{"a": 1}')


def test_where_a_digest_decides_only_fixed_bytes_count() -> None:
    """Every GGUF file begins with the same bytes; whatever else comes, the digest judges."""
    with pytest.raises(OtherFile, match="is a web page, not a GGUF file"):
        begins("m.gguf", PAGES[0], proved=True)
    for name in ("m.safetensors", "m.onnx", "m.bin", "page"):
        begins(name, PAGES[0], proved=True)


def test_bytes_that_come_one_by_one_are_compared_one_by_one() -> None:
    for offset, byte in enumerate(b"GGUF\0"):
        check_beginning("m.gguf", offset, bytes([byte]), proved=False)
    with pytest.raises(OtherFile, match="begins with 'X'"):
        check_beginning("m.gguf", 2, b"X", proved=True)


@pytest.mark.parametrize("name", WHOLE)
def test_truncated_files_are_no_other_files(name: str) -> None:
    """The error says that they are damaged."""
    with pytest.raises(IntegrityError, match=f"^{name} is truncated or damaged: ") as refused:
        whole(name, WHOLE[name][:-1])
    assert not isinstance(refused.value, OtherFile)


def test_each_suffix_belongs_to_one_format() -> None:
    suffixes = [suffix for each in FORMATS for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in suffixes)


@given(
    st.sampled_from([*NAMES, "m.json", "m.html"]), st.binary(max_size=600) | st.text().map(json.dumps).map(str.encode)
)
def test_any_bytes_pass_or_are_refused(name: str, data: bytes) -> None:
    """Nothing else can happen."""
    for act in (begins, whole):
        with contextlib.suppress(IntegrityError):
            act(name, data)
