"""The kinds of value that a setting can hold: how each is checked, and how it reads as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

from luci_dl.environment import parse_path
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.rate_limit import DAY, RateLimit, Span
from luci_dl.text import MOST_BYTES, printable, public_address, shown

OnInterrupt = Literal["delete", "keep"]
Parser = Callable[[object, str, Path], Any]
"""Turns typed text, or a value of config.json, into what luci works with.

It gets the name of the value for error messages, and the folder that relative paths start from. Raises: UsageError.
"""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_HOST = re.compile(r"[0-9A-Za-z._-]{1,253}(:[0-9]{1,5})?|\[?[0-9A-Fa-f:.]{2,45}(\]|\]:[0-9]{1,5})?")
_TIMES = re.compile(r"([0-9]{1,2}):([0-5][0-9]) ?- ?([0-9]{1,2}):([0-5][0-9])")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]i?)?b?", re.IGNORECASE)


@frozen
class Kind:
    """One kind of value.

    Attributes:
        allowed: what the value may be, for the user.
        many: it is a list.
        text: writes a value, or an item of a list, as the user would type it.
        none: the word for None; "" where there is none, so that the setting can only be unset.
        words: fixed words that it may be.
        path: what its paths lead to; "" if it holds none.
    """

    allowed: str
    parse: Parser
    many: bool = False
    text: Callable[[Any], str] = str
    none: str = ""
    words: tuple[str, ...] = ()
    path: Literal["", "dir", "file"] = ""

    def texts(self, value: Any) -> list[str]:
        """The value as the user would type it: one text, but any number for a list and none for an unnamed None."""
        if value is None:
            return [self.none] if self.none else []
        if self.many:
            return [self.text(item) for item in value]
        return [self.text(value)]

    def json(self, value: Any) -> object:
        """The value as config.json holds it."""
        texts = self.texts(value)
        if self.many:
            return texts
        return value if isinstance(value, int) and self.text is str else texts[0]


def parse_size(text: str) -> int:
    """Bytes: 512, 20M (decimal), 1.5G, 1GiB (binary).

    Raises: UsageError
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'expected a size such as 512, 20M, 1.5G or 1GiB, found "{printable(text)}"')
    number, unit = match.groups()
    size = round(float(number) * _UNITS[(unit or "").lower()])
    if size > MOST_BYTES:
        raise UsageError(f'expected a size up to {size_text(MOST_BYTES)}, found "{printable(text)}"')
    return size


def size_text(size: int) -> str:
    """The shortest text that `parse_size` turns back into exactly this number of bytes."""
    units = sorted(_UNITS.items(), key=lambda pair: -pair[1])
    unit, factor = next((unit, factor) for unit, factor in units if factor == 1 or (size and size % factor == 0))
    return f"{size // factor}{unit[:1].upper()}{'iB' if unit.endswith('i') else ''}"


def _list_of(items: str, parse_item: Parser) -> Parser:
    def parse(value: object, what: str, base: Path) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise UsageError(f"{what}: expected a list of {items}, found {shown(value)}")
        return tuple(parse_item(item, what, base) for item in value)

    return parse


def _address(value: object, what: str, _base: Path) -> str:
    """What follows the scheme is checked where the address is used."""
    if not (isinstance(value, str) and re.match("https?://.", value)):
        raise UsageError(f"{what}: expected an address such as https://mirror.example, found {shown(value)}")
    if public_address(value) != value:
        raise UsageError(f"{what}: expected the address of a server, without credentials and query")
    return value


def _host(value: object, what: str, _base: Path) -> str:
    """In lower case."""
    if not (isinstance(value, str) and _HOST.fullmatch(value)):
        raise UsageError(f"{what}: expected a host such as models.lan or 10.0.0.5:8080, found {shown(value)}")
    return value.lower()


def _link(value: object, what: str, _base: Path) -> str:
    """Which programs there are is checked where it is used."""
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise UsageError(f"{what}: expected a program such as ollama, or a folder, found {shown(value)}")
    return value


def _bytes(value: object, what: str, _base: Path) -> int:
    if type(value) is int and 0 <= value <= MOST_BYTES:
        return value
    if not isinstance(value, str):
        raise UsageError(f'{what}: expected bytes, or a size such as "1G", found {shown(value)}')
    try:
        return parse_size(value)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}") from error


def _rate(value: object, what: str) -> int | None:
    if value == "none":
        return None
    rate = _bytes(value.removesuffix("/s") if isinstance(value, str) else value, what, Path())
    if rate < 1:
        raise UsageError(f'{what}: expected at least one byte per second, or "none", found {shown(value)}')
    return rate


def _rate_limit(value: object, what: str, _base: Path) -> RateLimit:
    """One rate, or several for times of day: 2M, or 09:00-17:00=2M, or 22:00-06:00=none,09:00-17:00=2M,10M."""
    if not isinstance(value, str):
        return RateLimit(_rate(value, what))
    spans: list[Span] = []
    rates: list[int | None] = []
    for part in map(str.strip, value.split(",")):
        times, equals, rate = part.rpartition("=")
        if equals:
            spans.append(_span(times, _rate(rate.strip(), what), what))
        else:
            rates.append(_rate(part, what))
    if len(rates) > 1:
        raise UsageError(f"{what}: expected times of day for all rates but one, found {shown(value)}")
    for one, other in combinations(spans, 2):
        if one.overlaps(other):
            raise UsageError(f"{what}: the times {_times_text(one)} and {_times_text(other)} overlap")
    return RateLimit(rates[0] if rates else None, tuple(spans))


def _span(times: str, rate: int | None, what: str) -> Span:
    match = _TIMES.fullmatch(times.strip())
    hours = (0, 0, 0, 0) if match is None else tuple(map(int, match.groups()))
    begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if match is None or begin == end or begin >= DAY or end > DAY:
        raise UsageError(f"{what}: expected two times of day such as 09:00-17:00, found {shown(times)}")
    return Span(begin, end, rate)


def _times_text(span: Span) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (span.begin, span.end))


def _rate_limit_text(limit: RateLimit) -> str:
    """The text that `_rate_limit` turns back into this limit."""

    def text(rate: int | None) -> str:
        return "none" if rate is None else size_text(rate)

    rest = [text(limit.rate)] if limit.rate is not None or not limit.spans else []
    return ",".join([f"{_times_text(span)}={text(span.rate)}" for span in limit.spans] + rest)


def _on_interrupt(value: object, what: str, _base: Path) -> OnInterrupt:
    if value not in ("delete", "keep"):
        raise UsageError(f'{what}: expected "delete" or "keep", found {shown(value)}')
    return "keep" if value == "keep" else "delete"


def _switch(value: object, what: str, _base: Path) -> bool:
    if not (isinstance(value, bool) or value in ("on", "off")):
        raise UsageError(f'{what}: expected "on" or "off", found {shown(value)}')
    return value in (True, "on")


def number(least: int, most: int, *, auto: bool = False) -> Kind:
    """A whole number in this range; with `auto` also that word, which stands for None."""
    expected = f"a number from {least} to {most}"

    def parse(value: object, what: str, _base: Path) -> int | None:
        if auto and value == "auto":
            return None
        found = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
        if isinstance(found, int) and not isinstance(found, bool) and least <= found <= most:
            return found
        or_auto = '"auto" or ' if auto else ""
        raise UsageError(f"{what}: expected {or_auto}{expected}, found {shown(value)}")

    return Kind(f"auto or {expected}", parse, none="auto", words=("auto",)) if auto else Kind(expected, parse)


FOLDER = Kind("a folder", parse_path, path="dir")
FOLDERS = Kind("a list of folders", _list_of("folders", parse_path), many=True, path="dir")
FILE = Kind("a file", parse_path, path="file")
ADDRESSES = Kind("a list of https:// or http:// addresses", _list_of("addresses", _address), many=True)
LINKS = Kind("a list of hf, ollama, lmstudio, llama-server or folders", _list_of("names", _link), many=True)
HOSTS = Kind("a list of hosts, each with or without a port", _list_of("hosts", _host), many=True)
SIZE = Kind("a size, like 512, 20M, 1.5G or 1GiB", _bytes, text=size_text)
RATE = Kind(
    "a size per second, like 20M, or none; with times of day, like 09:00-17:00=2M,10M",
    _rate_limit,
    text=_rate_limit_text,
    words=("none",),
)
ON_INTERRUPT = Kind("delete or keep", _on_interrupt, words=get_args(OnInterrupt))
SWITCH = Kind("on or off", _switch, text=lambda value: "on" if value else "off", words=("on", "off"))
