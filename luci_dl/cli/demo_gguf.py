"""A small, valid GGUF file of any size, for the demo and the tests."""

from __future__ import annotations

import random
import struct

_BLOCK = 1 << 20
_ALIGNMENT = 32
_U32, _STRING = 4, 8  # types of metadata values
_I8 = 24  # the type of a tensor whose elements are one byte long


def make_gguf(size: int, seed: int = 0) -> bytes:
    """A GGUF v3 file of exactly `size` bytes: metadata and one I8 tensor of pseudo-random bytes.

    Raises: ValueError, when `size` is below about 200.
    """
    header = _header(tensor_length=size)  # any length takes eight bytes
    length = size - len(header)
    if length < 1:
        raise ValueError(f"a GGUF file needs more than {len(header)} bytes, not {size}")
    noise = random.Random(seed)
    blocks = [noise.randbytes(min(_BLOCK, length - start)) for start in range(0, length, _BLOCK)]
    return b"".join([_header(length), *blocks])


def _header(tensor_length: int) -> bytes:
    metadata = [
        _string("general.architecture") + struct.pack("<I", _STRING) + _string("llama"),
        _string("general.name") + struct.pack("<I", _STRING) + _string("luci demo"),
        _string("general.alignment") + struct.pack("<II", _U32, _ALIGNMENT),
    ]
    tensor = _string("noise") + struct.pack("<IQIQ", 1, tensor_length, _I8, 0)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(metadata)) + b"".join(metadata) + tensor
    return head + bytes(-len(head) % _ALIGNMENT)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()
