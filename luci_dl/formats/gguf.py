"""Parses the header of a GGUF file, which also determines how large the file must be. Source: docs/gguf.md of ggml."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from luci_dl.formats.cursor import Cursor
from luci_dl.formats.ggml import FILES, tensor_type
from luci_dl.formats.kv_cache import KEYS, MAX_LAYERS, Cache, Value, cache_of
from luci_dl.formats.reading import Damaged, ReadAt, Unsupported
from luci_dl.frozen import frozen
from luci_dl.text import quoted

MAGIC = b"GGUF"
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_KEY = 0xFFFF
_MAX_TEXT = 1 << 10  # bytes that are kept of a string
_MAX_VALUES, _MAX_TENSORS = 1 << 16, 1 << 18
_MAX_DIMENSIONS = 8  # ggml has four
_ALIGNMENT = 32

_WANTED = {
    "general.architecture",
    "general.name",
    "general.license",
    "general.file_type",
    "general.alignment",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
    "tokenizer.chat_template",
    "split.no",
    "split.count",
}


@frozen
class Header:
    """The facts in a header; None or empty where it has none.

    Attributes:
        file_type: the quantisation of the file, like "Q4_K_M".
        tokens: size of the vocabulary.
        shard, shards: number of this file, from 1, and of all files.
        tensor_types: each with the number of its tensors, the one with the most parameters first.
        needed: the least bytes that a file with these tensors has.
        has_chat_template: it says how a conversation becomes a prompt.
        cache: what the model keeps of each token; None if the header does not determine it.
    """

    version: int
    big_endian: bool
    architecture: str | None
    name: str | None
    license: str | None
    file_type: str | None
    context_length: int | None
    tokenizer: str | None
    tokens: int | None
    shard: int | None
    shards: int | None
    parameters: int
    tensors: int
    tensor_types: tuple[tuple[str, int], ...]
    needed: int
    has_chat_template: bool = False
    cache: Cache | None = None


def check(read_at: ReadAt, size: int) -> Header:
    """Parse the header of a file of `size` bytes, and check that the file is as large as its header says.

    Raises: Damaged; Unsupported; what `read_at` raises.
    """
    header = parse(read_at, size)
    if size < header.needed:
        raise Damaged(f"its header promises {header.needed} bytes or more, but it has {size}")
    return header


def parse(read_at: ReadAt, size: int) -> Header:
    """Parse the header of a file of `size` bytes. Raises: Damaged; Unsupported; what `read_at` raises."""
    version, big_endian, cursor = _begin(read_at, size)
    tensors = _count(cursor, "tensors", _MAX_TENSORS)
    values: dict[str, Value] = {}
    _read_values(cursor, _count(cursor, "values", _MAX_VALUES), values)
    found = _Tensors()
    for _ in range(tensors):
        _tensor(cursor, found)
    return _header(version, big_endian, values, found, cursor.pos)


def cache_in(beginning: bytes) -> Cache | None:
    """The cache, by the first bytes of a file: what it depends on stands before the vocabulary. None if it does not."""
    values: dict[str, Value] = {}
    with suppress(Damaged, Unsupported):
        cursor = _begin(lambda count, pos: beginning[pos : pos + count], len(beginning))[2]
        cursor.length()
        _read_values(cursor, min(cursor.length(), _MAX_VALUES), values)
    return _cache(values)


def _begin(read_at: ReadAt, size: int) -> tuple[int, bool, Cursor]:
    """The version, whether the bytes are in big-endian order, and where the header goes on."""
    begin = read_at(8, 0)
    if len(begin) < 8:
        raise Damaged(f"it has only {size} bytes")
    if begin[:4] != MAGIC:
        raise Damaged(f"it begins with {quoted(begin[:4])}, expected {quoted(MAGIC)} and a version")
    version = struct.unpack("<I", begin[4:])[0]
    big_endian = version & 0xFFFF == 0
    if big_endian:
        version = struct.unpack(">I", begin[4:])[0]
    if version == 0:
        raise Damaged("its header has version 0")
    if version > 3:
        raise Unsupported(f"its header has version {version}")
    return version, big_endian, Cursor(read_at, size, 8, big_endian=big_endian, wide=version > 1)


def _count(cursor: Cursor, what: str, most: int) -> int:
    count = cursor.length()
    if count > cursor.left // 8:  # each takes more than eight bytes
        raise Damaged(f"its header claims {count} {what}, more than fit into the file")
    if count > most:
        raise Unsupported(f"its header has {count} {what}")
    return count


def _read_values(cursor: Cursor, count: int, values: dict[str, Value]) -> None:
    """Add the values that `Header` needs, as they come; of an array that is not needed as such, its length."""
    for _ in range(count):
        key = cursor.text(_MAX_KEY)
        of_cache = key.partition(".")[2] in KEYS
        value = _value(cursor, cursor.u32(), MAX_LAYERS if of_cache else 0)
        if of_cache or key in _WANTED or key.endswith(".context_length"):
            values[key] = value


def _value(cursor: Cursor, kind: int, kept: int) -> Value:
    """A value. `kept`: a longer array of numbers is skipped."""
    if kind in _NUMBERS:
        return cursor.number(_NUMBERS[kind])
    if kind == _STRING:
        return cursor.text(_MAX_TEXT)
    if kind != _ARRAY:
        raise Damaged(f"its header has a value of type {kind}, which does not exist")
    kind, count = cursor.u32(), cursor.length()
    if kind in _NUMBERS and count <= kept:
        return tuple(cursor.number(_NUMBERS[kind]) for _ in range(count))
    if kind in _NUMBERS:
        cursor.skip(count * struct.calcsize("<" + _NUMBERS[kind]))
    elif kind == _STRING:
        cursor.skip_strings(count)
    elif kind == _ARRAY:
        raise Unsupported("its header has an array of arrays")
    else:
        raise Damaged(f"its header has an array of type {kind}, which does not exist")
    return count


def _cache(values: Mapping[str, Value]) -> Cache | None:
    architecture = values.get("general.architecture")
    of_it = {key.removeprefix(f"{architecture}."): value for key, value in values.items()}
    return cache_of(str(architecture), of_it) if architecture else None


@dataclass
class _Tensors:
    """Totals of all tensors. `end`: where the last one ends, counted from the start of the data."""

    end: int = 0
    parameters: Counter[str] = field(default_factory=Counter)
    count: Counter[str] = field(default_factory=Counter)


def _tensor(cursor: Cursor, found: _Tensors) -> None:
    cursor.text(0)
    dimensions = cursor.u32()
    if dimensions > _MAX_DIMENSIONS:
        raise Damaged(f"its header has a tensor of {dimensions} dimensions")
    elements = math.prod(cursor.length() for _ in range(dimensions))
    kind = tensor_type(cursor.u32())
    offset = cursor.u64()
    found.end = max(found.end, offset + elements // kind.block * kind.size)
    found.parameters[kind.name] += elements
    found.count[kind.name] += 1


def _header(version: int, big_endian: bool, values: dict[str, Value], found: _Tensors, end: int) -> Header:
    def text(key: str) -> str | None:
        value = values.get(key)
        return value if isinstance(value, str) else None

    def number(key: str) -> int | None:
        value = values.get(key)
        return value if isinstance(value, int) and value >= 0 else None

    alignment = number("general.alignment") or _ALIGNMENT
    architecture, shard = text("general.architecture"), number("split.no")
    file_type = number("general.file_type")
    return Header(
        version=version,
        big_endian=big_endian,
        architecture=architecture,
        name=text("general.name"),
        license=text("general.license"),
        file_type=None if file_type is None else FILES.get(file_type),
        context_length=number(f"{architecture}.context_length"),
        tokenizer=text("tokenizer.ggml.model"),
        tokens=number("tokenizer.ggml.tokens"),
        shard=None if shard is None else shard + 1,
        shards=number("split.count"),
        parameters=sum(found.parameters.values()),
        tensors=sum(found.count.values()),
        tensor_types=tuple((name, found.count[name]) for name, _ in found.parameters.most_common()),
        has_chat_template="tokenizer.chat_template" in values,
        cache=_cache(values),
        needed=-(-end // alignment) * alignment + found.end if found.end else end,
    )
