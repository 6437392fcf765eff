"""The header of a safetensors file: it says exactly how large the file is, and a hostile one does no harm."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.formats.reading import Damaged, Unsupported
from luci_dl.formats.safetensors import MAX_HEADER, check, may_begin
from tests.formats.files import reading, safetensors, tensor, weights

LENGTH = 8


def checked(data: bytes) -> None:
    check(reading(data), len(data))


@pytest.mark.parametrize(
    "data",
    [
        weights(),
        safetensors(b"{}"),
        safetensors(b"{ }   "),
        safetensors({"__metadata__": {}}),
        safetensors({"a": tensor("F16", [], 0, 2)}, b"xx"),
        safetensors({"none": tensor("F32", [0, 7], 0, 0), "a": tensor("U8", [3], 0, 3)}, b"xxx"),
        safetensors({"packed": tensor("F4", [4], 0, 2)}, b"xx"),
        safetensors({"later": tensor("Q3_5", [1000], 0, 2)}, b"xx"),
        safetensors(json.dumps({'quo"te{': tensor("I8", [1], 0, 1)}, indent=4).encode() + b"  ", b"x"),
    ],
)
def test_whole_files_pass(data: bytes) -> None:
    """In any layout of the header; a type of a later version may have any size."""
    checked(data)
    assert may_begin(data)
    assert may_begin(data[:8])


def test_every_other_length_is_refused() -> None:
    """One byte less or more is enough."""
    whole = weights()
    for data in [*(whole[:length] for length in range(len(whole))), whole + b"x"]:
        with pytest.raises(Damaged):
            checked(data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"short", "only 5 bytes"),
        (weights(cut=1), "promises 237 bytes, but it has 236"),
        ((MAX_HEADER + 1).to_bytes(8, "little") + bytes(99), "100000001 bytes, more than"),
        (b"<!DOCTYPE html>", "bytes, more than"),
        (safetensors(b"[]"), "not a JSON object"),
        (safetensors(b'{"a": 1}'), "not of this format, at byte 1"),
        (safetensors(b'{"a": {"b": {}}}'), "not of this format"),
        (safetensors(b'{"a": {"dtype"}}'), "not valid JSON"),
        (safetensors(b'{"a": {"b": ' + b"[" * 9999 + b"]" * 9999 + b"}}"), "not valid JSON"),
        (safetensors(b'{"a": {"b": ' + b"9" * 9999 + b"}}"), "not valid JSON"),
        (safetensors({"a": {"dtype": "F32", "shape": [1]}}), "without type, shape and offsets"),
        (safetensors({"a": tensor("F32", [1], -4, 0)}), "without type, shape and offsets"),
        (safetensors({"a": {**tensor("F32", [1], 0, 4), "shape": [True]}}), "without type, shape and offsets"),
        (safetensors({"a": {**tensor("F32", [1], 0, 4), "x": "y" * 70000}}), "without type, shape and offsets"),
        (safetensors({"a": tensor("F32", [1], 0, 3)}, b"xxx"), "do not fit its type and shape"),
        (safetensors({"a": tensor("F32", [0], 0, 4)}, b"xxxx"), "do not fit its type and shape"),
        (safetensors({"a": tensor("?", [1], 4, 0)}), "do not fit its type and shape"),
        (safetensors({"a": tensor("I8", [2], 0, 2), "b": tensor("I8", [2], 1, 3)}, b"xxx"), "overlap .* byte 1"),
        (safetensors({"a": tensor("I8", [1], 0, 1), "b": tensor("I8", [1], 2, 3)}, b"xxx"), "leave a gap .* byte 1"),
        (safetensors({"a": tensor("I8", [1], 1 << 60, (1 << 60) + 1)}), "gap at byte 0"),
    ],
)
def test_what_cannot_be_a_safetensors_file_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(Damaged, match=what):
        checked(data)


@pytest.mark.parametrize("head", [b"version ", b"<html></html>", b"GGUF\0\0\0\0", (2).to_bytes(8, "little") + b"["])
def test_other_files_are_recognised_by_their_first_bytes(head: bytes) -> None:
    assert not may_begin(head + b"\n")


@pytest.mark.parametrize(
    "header",
    [
        b'{"__metadata__":{' + b'"":"",' * 2_000_000 + b'"":""},"a":1}',
        b'{"__metadata__":{"' + b"\\u" * 3_000_000 + b'"},"a":1}',
        b"{" + b'"":{},' * 2_000_000,
        b'{"' * 4_000_000,
        b'{"a":{' + b"[" * 9_000_000,
        b"{" + b" " * 9_000_000,
    ],
    ids=["many values", "escapes", "many tensors", "many strings", "brackets", "blanks"],
)
def test_a_hostile_header_costs_little(header: bytes) -> None:
    """Time and memory stay bounded, apart from the bytes of the header."""
    data = safetensors(header)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Damaged):
        checked(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < 5
    assert peak < 3 * len(data)


def test_an_endless_header_is_not_read_on() -> None:
    """More tensors, or a longer entry, than any model has: nothing is claimed about such a file."""
    entry = b'"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},'
    for header in (b"{" + entry * ((1 << 18) + 2), b'{"__metadata__":{"' + b"x" * (17 << 20) + b'"}}'):
        with pytest.raises(Unsupported):
            checked(safetensors(header))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=5))
def test_any_bytes_pass_or_are_refused(noise: bytes, changes: list[tuple[int, int]]) -> None:
    """Noise alone, noise as a header, and a valid file with wrong bytes."""
    data = bytearray(weights())
    for at, byte in changes:
        data[at % len(data)] = byte
    for each in (noise, safetensors(noise), safetensors(b"{" + noise), bytes(data)):
        with contextlib.suppress(Damaged, Unsupported):
            checked(each)
        may_begin(each)
