"""BitTorrent's metainfo of a file, version 2 (BEP 52): the same bytes wherever the file is, whatever its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from luci_dl.errors import IntegrityError

_LEAF = 16 << 10
_MOST_PIECES = 8192
MIN_PIECE, MAX_PIECE = 1 << 20, 16 << 20
"""Bytes of a piece. luci notes what it has by blocks of 1 MiB."""

Bencoded = int | str | bytes | Mapping[Any, "Bencoded"]


def piece_length(size: int) -> int:
    """Bytes of each piece of a file of that size."""
    piece = MIN_PIECE
    while piece < MAX_PIECE and size > piece * _MOST_PIECES:
        piece *= 2
    return piece


def metainfo(sha256: str, size: int, read: Callable[[int], bytes], check: Callable[[], None]) -> bytes:
    """Read the whole file, and describe it.

    Args:
        size: more than a piece.
        read: returns the next bytes, as many as it is asked for if there are so many.
        check: called for each piece; may raise to end it.

    Raises: IntegrityError, when these are not the bytes of that SHA-256.
    """
    piece, whole, roots = piece_length(size), hashlib.sha256(), list[bytes]()
    while data := read(piece):
        check()
        whole.update(data)
        roots.append(_root_of_piece(data, piece))
    if whole.hexdigest() != sha256:
        raise IntegrityError(f"the bytes of {sha256} have changed")
    root = _root(roots, _root([bytes(32)] * (piece // _LEAF), bytes(32)))
    info: dict[str, Bencoded] = {
        "file tree": {sha256: {"": {"length": size, "pieces root": root}}},
        "meta version": 2,
        "name": sha256,
        "piece length": piece,
        "private": 1,
    }
    return bencoded({"info": info, "piece layers": {root: b"".join(roots)}})


def with_web_seed(metainfo: bytes, url: str) -> bytes:
    """The same with the address of the folder that the file is in, by its SHA-256: the last key of all."""
    return metainfo[:-1] + bencoded("url-list") + bencoded(url) + b"e"


def _root_of_piece(data: bytes, piece: int) -> bytes:
    view = memoryview(data)
    leaves = [hashlib.sha256(view[at : at + _LEAF]).digest() for at in range(0, len(data), _LEAF)]
    return _root([*leaves, *[bytes(32)] * (piece // _LEAF - len(leaves))], bytes(32))


def _root(nodes: Sequence[bytes], padding: bytes) -> bytes:
    """The root of a tree whose missing leaves are `padding`."""
    while len(nodes) > 1:
        padded = [*nodes, padding] if len(nodes) % 2 else nodes
        nodes = [hashlib.sha256(padded[at] + padded[at + 1]).digest() for at in range(0, len(padded), 2)]
        padding = hashlib.sha256(padding + padding).digest()
    return nodes[0]


def bencoded(value: Bencoded) -> bytes:
    """The keys of a dictionary in the order of their bytes."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return bencoded(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
    items = {key if isinstance(key, bytes) else key.encode(): each for key, each in value.items()}
    return b"d" + b"".join(bencoded(key) + bencoded(items[key]) for key in sorted(items)) + b"e"
