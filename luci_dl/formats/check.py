"""Checks that a file is what its name says, and whole."""

from __future__ import annotations

from luci_dl.errors import IntegrityError, OtherFile
from luci_dl.formats.reading import Damaged, ReadAt, Unsupported
from luci_dl.formats.table import Format, format_of
from luci_dl.formats.texts import MAX_TEXT, Text, pointed_to, recognised, recognised_json
from luci_dl.text import quoted

_QUOTED = 40


def check_beginning(name: str, offset: int, data: bytes, *, proved: bool) -> None:
    """Check the bytes at `offset`, below BEGINNING, of the file of that name.

    Args:
        proved: a digest will decide in the end, so only what every such file begins with is compared.

    Raises: OtherFile.
    """
    kind = format_of(name)
    is_magic = kind.magic[offset:].startswith(data[: max(0, len(kind.magic) - offset)])
    if not is_magic or not (proved or offset or kind.accepts(data)):
        raise _other_file(name, kind, data, None if offset else recognised(data))


def check_whole(name: str, read_at: ReadAt, size: int) -> None:
    """Check the file of that name, of `size` bytes. Raises: OtherFile; IntegrityError; what `read_at` raises."""
    kind = format_of(name)
    if not size:
        raise OtherFile(f"{name} is empty", "The address may be of something else.")
    head = read_at(MAX_TEXT, 0)
    check_beginning(name, 0, head, proved=False)
    text = recognised_json(head) if size <= MAX_TEXT else None
    if text not in (None, *kind.texts):
        raise _other_file(name, kind, head, text)
    if kind.check:
        try:
            kind.check(read_at, size)
        except Unsupported:
            return
        except Damaged as error:
            raise damaged(name, error) from error


def damaged(name: str, error: Damaged) -> IntegrityError:
    """The error for a file that is not whole."""
    return IntegrityError(
        f"{name} is truncated or damaged: {error}",
        "Download it again, or from another address: the file there may be damaged.",
    )


def _other_file(name: str, kind: Format, data: bytes, text: Text | None) -> OtherFile:
    begins = f"it begins with {quoted(data[:_QUOTED])}"
    if text is Text.POINTER:
        return OtherFile(f"{name} is {text.words}, not the file itself: {pointed_to(data) or begins}", text.hint)
    if text:
        return OtherFile(f"{name} is {text.words}, not {kind.label}: {begins}", text.hint)
    return OtherFile(
        f"{name} is not {kind.label}: {begins}, expected {kind.expected}",
        "The address may be of a web page or of another kind of file.",
    )
