"""An ONNX file: its fields end where it ends."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.formats.onnx import check, may_begin
from luci_dl.formats.reading import Damaged, Unsupported
from tests.formats.files import field, onnx, reading, varint


def checked(data: bytes) -> None:
    check(reading(data), len(data))


@pytest.mark.parametrize(
    "more",
    [
        b"",
        field(14, b"k") * 3,
        field(25, b"function"),
        field(300, b"later"),
        field(26, b""),
        varint(41 << 3 | 5) + b"1234",
    ],
)
def test_whole_files_pass(more: bytes) -> None:
    """Also with fields of a later version."""
    checked(onnx(more))
    assert may_begin(onnx(more))


def test_truncated_files_are_refused() -> None:
    """At every length at which a field is cut."""
    whole = onnx()
    for length in range(whole.index(b"g") + 1):
        with pytest.raises(Damaged):
            checked(whole[:length])
    with pytest.raises(Damaged, match="but it has"):
        checked(whole[:-1])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"Internal Error", "does not exist|need .* bytes"),
        (b"Bad gateway", "need .* bytes"),
        (field(1, 8) + field(2, b"pytorch"), "no graph"),
        (field(7, b""), "no version"),
        (onnx(b"\xff" * 11), "too long"),
        (onnx(field(1001, b"")), "field 1001"),
        (onnx(field(7, 1)), "field 7 of type 0"),
        (onnx(varint(30 << 3 | 3)), "field 30 of type 3"),
        (onnx(varint(2 << 3 | 2) + varint((1 << 64) - 1)), "need .* bytes"),
        (onnx(b"\x00"), "field 0"),
    ],
)
def test_what_cannot_be_an_onnx_file_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(Damaged, match=what):
        checked(data)


@pytest.mark.parametrize("head", [b"Internal", b"<html>", b"version https://", b"{}", b"GGUF", b"\x80\x02}", b"PK\3\4"])
def test_other_files_are_recognised_by_their_first_bytes(head: bytes) -> None:
    assert not may_begin(head)


def test_an_endless_list_of_fields_is_not_read_on() -> None:
    with pytest.raises(Unsupported, match="fields"):
        checked(onnx(field(14, b"") * (1 << 16)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_any_bytes_pass_or_are_refused(noise: bytes, changes: list[tuple[int, int]]) -> None:
    """Noise alone, noise after a model, and a model with wrong bytes."""
    data = bytearray(onnx())
    for at, byte in changes:
        data[at % len(data)] = byte
    for each in (noise, onnx(noise), bytes(data)):
        with contextlib.suppress(Damaged, Unsupported):
            checked(each)
        may_begin(each)
