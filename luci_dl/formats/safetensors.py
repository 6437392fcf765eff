"""Checks the header of a safetensors file, which says exactly how large the file is. Source: safetensors' README."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import TypeGuard

from luci_dl.formats.reading import Damaged, ReadAt, Unsupported

EXPECTED = "the length of a header and '{'"
MAX_HEADER = 100_000_000
"""Size limit of a header in the reference implementation, in bytes."""
_LENGTH = 8  # bytes of the number before the header
_MAX_TENSORS = 1 << 18
_MAX_METADATA, _MAX_TENSOR = 16 << 20, 1 << 16  # bytes of one entry

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_ENTRY = re.compile(rb"\s*+(" + _STRING + rb")\s*+:\s*+(\{(?:[^{}\"]++|" + _STRING + rb")*+\})\s*+([,}])", re.DOTALL)
"""A key, an object without objects in it, and what follows. Never backtracks."""
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Of one element, by type. Types that luci does not know may have any size."""


def may_begin(head: bytes) -> bool:
    """Whether a file can begin with these bytes."""
    return len(head) < _LENGTH or (_length(head) <= MAX_HEADER and head[_LENGTH : _LENGTH + 1] in (b"", b"{"))


def check(read_at: ReadAt, size: int) -> None:
    """Check the header of a file of `size` bytes. Raises: Damaged; Unsupported; what `read_at` raises."""
    begin = read_at(_LENGTH, 0)
    if len(begin) < _LENGTH:
        raise Damaged(f"it has only {size} bytes")
    length = _length(begin)
    if length > MAX_HEADER:
        raise Damaged(f"its header claims to have {length} bytes, more than the {MAX_HEADER} that are allowed")
    if length > size - _LENGTH:
        raise Damaged(f"its header promises {_LENGTH + length} bytes or more, but it has {size}")
    header = read_at(length, _LENGTH)
    if len(header) < length:
        raise Damaged("it was truncated while it was read")
    needed = _LENGTH + length + _end(sorted(_ranges(header)))
    if size != needed:
        raise Damaged(f"its header promises {needed} bytes, but it has {size}")


def _length(begin: bytes) -> int:
    return int.from_bytes(begin[:_LENGTH], "little")


def _ranges(header: bytes) -> Iterator[tuple[int, int]]:
    """Where each tensor begins and ends, counted from the end of the header."""
    if not header.startswith(b"{"):
        raise Damaged("its header is not a JSON object")
    pos, more = 1, header[1:].lstrip()[:1] != b"}"
    tensors = 0
    while more:
        entry = _ENTRY.match(header, pos, pos + _MAX_METADATA)
        if entry is None and len(header) - pos > _MAX_METADATA:
            raise Unsupported("its header has an entry that is too long")
        if entry is None:
            raise Damaged(f"its header is not valid JSON, or not of this format, at byte {pos}")
        pos, more = entry.end(), entry[3] == b","
        if entry[1] != b'"__metadata__"':
            yield _range(entry[2])
            tensors += 1
        if tensors > _MAX_TENSORS:
            raise Unsupported(f"its header has more than {_MAX_TENSORS} tensors")


def _range(value: bytes) -> tuple[int, int]:
    try:
        tensor = json.loads(value) if len(value) <= _MAX_TENSOR else {}
    except (ValueError, RecursionError) as error:
        raise Damaged("its header is not valid JSON") from error
    kind, shape, offsets = (tensor.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(kind, str) and _are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise Damaged("its header has a tensor without type, shape and offsets")
    (start, end), bits = offsets, _BITS.get(kind)
    if start > end or (bits and math.prod(shape) * bits != 8 * (end - start)):
        raise Damaged(f"its header has a tensor whose offsets {start} and {end} do not fit its type and shape")
    return start, end


def _are_counts(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _end(ranges: list[tuple[int, int]]) -> int:
    """Where the last tensor ends, when they follow each other without gaps."""
    end = 0
    for start, stop in ranges:
        if start != end:
            raise Damaged(f"its tensors overlap or leave a gap at byte {min(start, end)} of the data")
        end = stop
    return end
