"""What the header of a GGUF file says, as rows of `luci info`."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.api.info import GgufFile, Header

_MOST_TYPES = 6


def rows(file: GgufFile) -> Iterator[tuple[str, str]]:
    """Labels and texts; for a file that cannot be complete, the reason."""
    header = file.header
    if header is None:
        yield "GGUF", file.problem or "its header has a format that this version of luci does not know"
        return
    shard = f", shard {header.shard} of {header.shards}" if header.shard and (header.shards or 0) > 1 else ""
    yield "GGUF", f"{header.architecture or 'of an unknown architecture'}{shard}"
    yield from _known(header)
    kinds = [f"{count} {name}" for name, count in header.tensor_types]
    more = ["..."] if len(kinds) > _MOST_TYPES else []
    yield "Tensors", f"{header.tensors}: {', '.join([*kinds[:_MOST_TYPES], *more])}" if kinds else "none"


def _known(header: Header) -> Iterator[tuple[str, str]]:
    if header.name:
        yield "Name", header.name
    if header.license:
        yield "License", header.license
    if header.parameters:
        yield "Parameters", _rounded(header.parameters)
    if header.file_type:
        yield "Quant", header.file_type
    if header.context_length is not None:
        yield "Context", f"{header.context_length} tokens"
    if header.tokenizer:
        yield "Tokenizer", header.tokenizer + (f", {header.tokens} tokens" if header.tokens else "")


def _rounded(count: int) -> str:
    """8.0B (8030261248)."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if size <= count < 10**15:
            return f"{count / size:.1f}{unit} ({count})"
    return str(count)
