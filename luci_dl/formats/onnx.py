"""Checks that the fields of an ONNX file, a ModelProto in protobuf, end where the file does. Source: onnx.proto."""

from __future__ import annotations

from luci_dl.formats.reading import Damaged, ReadAt, Unsupported

EXPECTED = "a field of an ONNX model"
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}  # bytes of the value
_KINDS = {_VARINT, _BYTES, *_FIXED}
_IR_VERSION, _MODEL_VERSION, _GRAPH = 1, 5, 7
_FIELDS = {
    **dict.fromkeys((2, 3, 4, 6, _GRAPH, 8, 14, 20, 25, 26), _BYTES),
    **dict.fromkeys((_IR_VERSION, _MODEL_VERSION), _VARINT),
}
"""The encoding of each field. A later version may have more."""
_MAX_NUMBER = 1000  # of a field of a later version
_MAX_FIELDS = 1 << 16
_MAX_VARINT = 10  # bytes


def may_begin(head: bytes) -> bool:
    """Whether a file can begin with these bytes."""
    if len(head) < 2:
        return True
    try:
        tag, _ = _varint(head, 0)
    except Damaged:
        return False
    return _FIELDS.get(tag >> 3) == tag & 7


def check(read_at: ReadAt, size: int) -> None:
    """Check the fields of a file of `size` bytes. Raises: Damaged; Unsupported; what `read_at` raises."""
    pos, found = 0, set()
    for _ in range(_MAX_FIELDS):
        if pos >= size:
            break
        number, length = _field(read_at(2 * _MAX_VARINT, pos))
        pos += length
        found.add(number)
    if pos < size:
        raise Unsupported(f"it has more than {_MAX_FIELDS} fields")
    if pos > size:
        raise Damaged(f"its fields need {pos} bytes, but it has {size}")
    if not {_IR_VERSION, _GRAPH} <= found:
        raise Damaged("it has no version or no graph")


def _field(data: bytes) -> tuple[int, int]:
    """The number of the field at the beginning, and its length in bytes with all that belongs to it."""
    tag, at = _varint(data, 0)
    number, kind = tag >> 3, tag & 7
    if not 0 < number <= _MAX_NUMBER or kind not in _KINDS or kind != _FIELDS.get(number, kind):
        raise Damaged(f"it has a field {number} of type {kind}, which does not exist")
    if kind in _FIXED:
        return number, at + _FIXED[kind]
    value, end = _varint(data, at)
    return number, end + (value if kind == _BYTES else 0)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at that offset, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise Damaged("it ends in the middle of a number, or has one that is too long")
