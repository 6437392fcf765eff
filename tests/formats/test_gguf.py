"""The header of a GGUF file: every fact is read, and a hostile one does no harm."""

from __future__ import annotations

import contextlib
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.formats.check import check_whole
from luci_dl.formats.cursor import MAX_HEADER, WINDOW
from luci_dl.formats.gguf import Header, check, parse
from luci_dl.formats.reading import Damaged, Unsupported
from tests.formats.files import ARRAY, REAL, REAL_BIG_ENDIAN, TENSOR_Q4_K, V3, Form, model, reading

FORMS = [Form(1), Form(2), Form(3), Form(3, ">")]
HUGE = (1 << 64) - 1


def parsed(data: bytes) -> Header:
    return parse(reading(data), len(data))


@pytest.mark.parametrize("form", FORMS)
def test_every_fact_of_a_header_is_read(form: Form) -> None:
    """In every version and byte order; a key may precede the architecture that it belongs to."""
    header = parsed(model(form))
    assert (header.version, header.big_endian) == (form.version, form.order == ">")
    assert (header.architecture, header.name, header.license) == ("llama", "Tiny", "mit")
    assert (header.file_type, header.context_length) == ("Q4_K_M", 4096)
    assert (header.tokenizer, header.tokens, header.has_chat_template) == ("gpt2", 100, True)
    assert (header.parameters, header.tensors) == (64 + 1024, 2)
    assert header.tensor_types == (("Q4_K", 1), ("F32", 1))
    assert header.needed == len(model(form))


@pytest.mark.parametrize("data", [REAL, REAL_BIG_ENDIAN])
def test_what_the_writer_of_llama_cpp_wrote(data: bytes) -> None:
    """Its size is exactly the one that its header needs."""
    header = parsed(data)
    assert (header.architecture, header.name, header.license) == ("llama", "Tiny é", "apache-2.0")
    assert (header.file_type, header.context_length, header.tokenizer) == ("Q4_K_M", 8192, "gpt2")
    assert (header.parameters, header.tensors, header.needed) == (4096, 4, len(data))
    assert dict(header.tensor_types) == {"F32": 1, "Q4_K": 1, "Q6_K": 1, "Q8_0": 1}


def test_an_empty_header_is_valid() -> None:
    header = parsed(V3.file())
    assert (header.architecture, header.context_length, header.file_type, header.tokens) == (None,) * 4
    assert (header.parameters, header.needed, header.has_chat_template) == (0, 24, False)


def test_values_of_unexpected_types_are_ignored() -> None:
    """A number for a name, a string for a length, an array for a type."""
    values = [V3.u32("general.name", 7), V3.string("general.file_type", "x"), V3.string("None.context_length", "x")]
    header = parsed(V3.file([*values, V3.u32("general.alignment", 0), V3.strings("general.license", ["mit"])]))
    assert (header.name, header.license, header.file_type, header.context_length) == (None,) * 4


def test_the_shard_of_a_set() -> None:
    header = parsed(V3.file([V3.u32("split.no", 1), V3.u32("split.count", 3)]))
    assert (header.shard, header.shards) == (2, 3)


def test_the_alignment_of_the_header_is_used() -> None:
    header = parsed(V3.file([V3.u32("general.alignment", 4096)], [V3.tensor("a", [4])]))
    assert header.needed == 4096 + 16


def test_only_the_offset_of_an_unknown_tensor_type_counts() -> None:
    """So a future quantisation is not called truncated."""
    data = V3.file([], [V3.tensor("a", [1 << 40], 4711, 64)])
    header = parsed(data)
    assert header.needed == len(data) + 64
    assert (header.parameters, header.tensor_types) == (1 << 40, (("type 4711", 1),))


def test_a_large_vocabulary_takes_little_memory(tmp_path: Path) -> None:
    """Its words are not created."""
    path = tmp_path / "m.gguf"
    path.write_bytes(model(words=150_000))
    with path.open("rb") as file:
        size = path.stat().st_size
        tracemalloc.start()
        header = parse(lambda count, offset: os.pread(file.fileno(), count, offset), size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert header.tokens == 150_000
    assert peak < 3 * WINDOW


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "only 0 bytes"),
        (b"GGUF", "only 4 bytes"),
        (b"<!doctype html>", "begins with '<!do', expected 'GGUF'"),
        (b"GGUF" + bytes(20), "version 0"),
        (V3.file()[:20], "beyond its end"),
        (b"GGUF" + V3.number("I", 3) + V3.length(HUGE) + V3.length(0), f"{HUGE} tensors"),
        (b"GGUF" + V3.number("I", 3) + V3.length(0) + V3.length(HUGE), f"{HUGE} values"),
        (V3.file([V3.length(HUGE)]) + bytes(64), "beyond its end"),
        (V3.file([V3.text("a") + V3.number("I", 8) + V3.length(1 << 40)]), "beyond its end"),
        (V3.file([V3.text("a") + V3.number("I", 13)]), "value of type 13"),
        (V3.file([V3.text("a") + V3.number("I", ARRAY) + V3.number("I", 77) + V3.length(1)]), "array of type 77"),
        (V3.file([V3.text("a") + V3.number("I", ARRAY) + V3.number("I", 10) + V3.length(HUGE)]), "beyond its end"),
        (V3.file([V3.text("a") + V3.number("I", ARRAY) + V3.number("I", 8) + V3.length(HUGE)]), "beyond its end"),
        (V3.file([], [V3.tensor("a", [1] * 9)]), "9 dimensions"),
        (V3.file([], [V3.text("a") + V3.number("I", (1 << 32) - 1)]), "4294967295 dimensions"),
    ],
)
def test_what_cannot_be_a_gguf_file_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(Damaged, match=what):
        parsed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF" + V3.number("I", 4) + bytes(100),
        V3.file([V3.text("a") + V3.number("I", ARRAY) + V3.number("I", ARRAY) + V3.length(1)]),
    ],
)
def test_unsupported_headers_are_not_called_damaged(data: bytes) -> None:
    """A later version, arrays of arrays."""
    with pytest.raises(Unsupported):
        parsed(data)
    check_whole("m.gguf", reading(data), len(data))


@pytest.mark.parametrize(("counts", "of"), [((1 << 19, 0), "tensors"), ((0, 1 << 17), "values"), ((0, 1), "64 MiB")])
def test_an_endless_header_is_not_read_on(counts: tuple[int, int], of: str) -> None:
    """However large the file is, and although each length fits into it."""
    head = b"GGUF" + V3.number("I", 3) + V3.length(counts[0]) + V3.length(counts[1])
    head += V3.text("a") + V3.number("I", ARRAY) + V3.number("I", 10) + V3.length(MAX_HEADER // 8)
    read = 0

    def read_at(count: int, offset: int) -> bytes:
        nonlocal read
        read += count
        return head[offset : offset + count].ljust(count, b"\0")

    with pytest.raises(Unsupported, match=of):
        parse(read_at, 1 << 45)
    assert read <= MAX_HEADER + 2 * WINDOW


def test_tensors_without_elements_and_without_end() -> None:
    """Dimensions of zero, huge products, and the largest offsets."""
    tensors = [V3.tensor("a", [0, HUGE]), V3.tensor("b", []), V3.tensor("c", [HUGE] * 8, TENSOR_Q4_K, HUGE)]
    header = parsed(V3.file([], tensors))
    assert header.parameters == 1 + HUGE**8
    assert header.needed > 1 << 500


def test_a_file_that_lacks_bytes_is_truncated() -> None:
    """One byte is enough; the message has both sizes."""
    needed, data = len(model()), model(cut=1)
    assert check(reading(model()), needed).needed == needed
    with pytest.raises(Damaged, match=rf"{needed} bytes or more, but it has {needed - 1}$"):
        check(reading(data), len(data))


def test_the_file_of_the_demo_is_whole() -> None:
    """It has the size that its header needs."""
    assert check(reading(make_gguf(5000)), 5000).needed <= 5000


def test_every_beginning_of_a_file_is_truncated() -> None:
    """At every length the cut is detected."""
    whole = model(words=3)
    for length in range(len(whole)):
        try:
            assert parsed(whole[:length]).needed > length
        except Damaged:
            continue


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(FORMS))
def test_any_bytes_are_a_header_or_a_clear_error(noise: bytes, form: Form) -> None:
    """Noise alone, and noise after the start of a header."""
    for data in (noise, b"GGUF" + form.number("I", form.version) + form.length(2) + form.length(3) + noise):
        _read_or_refused(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FORMS),
    st.lists(st.tuples(st.integers(4, 600), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])), max_size=6),
    st.integers(0, 900),
)
def test_a_header_with_wrong_bytes_is_a_header_or_a_clear_error(
    form: Form, changes: list[tuple[int, int]], length: int
) -> None:
    """Lengths, counts, types and offsets become huge, zero or another."""
    data = bytearray(model(form, words=3))
    for at, byte in changes:
        data[at % 900] = byte
    _read_or_refused(bytes(data))
    _read_or_refused(bytes(data[:length]))


def _read_or_refused(data: bytes) -> None:
    read = 0

    def read_at(count: int, offset: int) -> bytes:
        nonlocal read
        read += count
        return data[offset : offset + count]

    with contextlib.suppress(Damaged, Unsupported):
        assert parse(read_at, len(data)).needed >= 0
    assert read <= 4 * len(data) + 8
