"""What servers of the torture do: manners, with each request, and mishaps, with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import IntEnum
from random import Random

from tests.servers import faults
from tests.servers.faults import Fault

KIB = 1 << 10


class Passes(IntEnum):
    """When luci must install the file in spite of it, given retries enough."""

    NEVER = 0
    WHEN_BEGUN = 1
    """With a digest, once the address has served bytes and the size is known; then luci is patient."""
    WITH_DIGEST = 2
    WITH_PATIENCE = 3
    """As long as it does not go wrong more than `PATIENCE` times in a row."""
    ALWAYS = 4


@dataclass(frozen=True)
class Behaviour:
    """Attributes:
    make: the fault, for a file of these bytes.
    lies: without a digest nobody could notice.
    """

    passes: Passes
    make: Callable[[Random, bytes], Fault]
    lies: bool = False


def _fixed(passes: Passes, lies: bool = False, **made: Fault) -> dict[str, Behaviour]:
    """Behaviours without state, which are the same for every file."""
    return {
        name.replace("_", " "): Behaviour(passes, lambda _random, _data, fault=fault: fault, lies)  # type: ignore[misc]
        for name, fault in made.items()
    }


def _made(passes: Passes, lies: bool = False, **made: Callable[[Random, bytes], Fault]) -> dict[str, Behaviour]:
    """Behaviours that are made anew for each file, since they depend on it or count requests."""
    return {name.replace("_", " "): Behaviour(passes, make, lies) for name, make in made.items()}


def _refusal(random: Random) -> Fault:
    statuses = (400, 401, 403, 404, 405, 416, 418, 429, 500, 501, 503, 520)
    kinds = [faults.hangs_up(), faults.cut(0), faults.login_page(), faults.status(200), faults.status(204)]
    return random.choice([*(faults.status(code) for code in statuses), *kinds])


def _busy(random: Random) -> Fault:
    refusals = [faults.status(code) for code in (403, 404, 416, 429, 500, 503, 509)]
    refusals += [faults.status(429, retry_after=1), faults.hangs_up(), faults.login_page(403)]
    return random.choice(refusals)


def _soon(random: Random) -> Fault:
    code = random.choice([408, 425, 429, 500, 502, 503, 504, 509, 520, 529, 598])
    in_two = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    said = random.choice([None, None, 0, 3, in_two, "soon", "-5"])
    body = random.choice([b"", b"<html>busy</html>", b"x" * 300_000])
    more = random.choice([Fault(), faults.headers(RateLimit='"default";r=0;t=4'), faults.gzipped(), faults.chunked()])
    return faults.status(code, said, body) + more


def _within(random: Random, data: bytes) -> int:
    return random.choice([0, 1, random.randrange(len(data)), len(data) - 1, max(0, len(data) - KIB)])


def _page(random: Random, data: bytes) -> Fault:
    texts = {"text/html": faults.PAGE, "application/json": b'{"error": "no"}', "text/plain": faults.POINTER}
    kind = random.choice([*texts, "application/xml", "application/octet-stream"])
    body = texts.get(kind, b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>')
    return faults.page(body, kind) + random.choice([Fault(), faults.chunked(), faults.headers(ETag='"page"')])


def _early(page: int) -> Callable[[int, int], tuple[int, int]]:
    return lambda first, last: (first // page * page, last)


OFF, BEGUN, DIGEST, PATIENT, ALWAYS = Passes

HEADS = _fixed(
    ALWAYS,
    interim=faults.interim(103, 100),
    many_interim=faults.interim(*[102] * 20),
    folded=faults.more_lines(b"X-Folded: one\r\n two\r\n\tthree\r\n"),
    no_colon=faults.more_lines(b"a line without it\r\n"),
    blank_before_colon=faults.more_lines(b"X-Blank : yes\r\n"),
    eight_bit=faults.more_lines("X-Names: \u00e9t\u00e9 \u6f22\r\n".encode()),
    line_feeds=faults.bare_line_feeds(),
    http_1_0=faults.http_1_0(),
    no_reason=faults.status_line(b"HTTP/1.1 %d"),
    upper_case=faults.upper_case(),
    close_said=faults.says("close"),
    kept_not=faults.says("keep-alive") + faults.closes(),
    closes=faults.closes(),
    length_twice=faults.length_twice(),
    length_lines=faults.length_twice("\r\nContent-Length: "),
    tail=faults.followed_by(b"\r\n\r\n"),
    junk_tail=faults.followed_by(b"junk that belongs to nothing" * 9),
    second_answer=faults.followed_by(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    aws_chunked=faults.coded("aws-chunked"),
    coding_none=faults.coded("none"),
    coding_utf_8=faults.coded("UTF-8, identity"),
    status_203=faults.non_authoritative(),
) | _fixed(DIGEST, coding_gzip=faults.coded("gzip"), coding_br=faults.coded("br"))

FRAMES = _fixed(
    ALWAYS,
    chunked=faults.chunked(),
    chunk_names=faults.chunk_sizes(b"%x;name=value\r\n"),
    chunk_zeros=faults.chunk_sizes(b"000%X  \r\n"),
    trickled=faults.trickle(3e6),
) | _fixed(DIGEST, close_delimited=faults.close_delimited(), html=faults.headers(Content_Type="text/html"))

ETAGS = (
    _fixed(
        ALWAYS,
        no_etag=faults.no_etag(),
        weak_etag=faults.weak_etag(),
        modified=faults.only_modified(),
        empty_etag=faults.headers(ETag=""),
        bare_etag=faults.headers(ETag="abc"),
    )
    | _made(ALWAYS, etag_now_and_then=lambda *_: faults.etag_now_and_then())
    | _made(
        DIGEST,
        etag_new=lambda *_: faults.etag_per_edge(),
        edges=lambda random, _: faults.etag_per_edge(random.choice([2, 3])),
    )
)

RANGES = _fixed(
    ALWAYS,
    no_ranges=faults.no_ranges(),
    denied_ranges=faults.unannounced_ranges(),
    unit_case=faults.content_range("Bytes {first}-{last}/{size}"),
    unit_equals=faults.content_range("bytes={first}-{last}/{size}"),
    unit_blanks=faults.content_range("bytes   {first}-{last}/{size}"),
    range_blanks=faults.content_range("bytes {first} - {last} / {size}"),
    no_unit=faults.content_range("{first}-{last}/{size}"),
    star=faults.content_range("bytes {first}-{last}/*"),
    only_star=faults.content_range("bytes */{size}"),
    no_content_range=faults.content_range(None),
    multipart=faults.multipart(),
    range_as_200=faults.range_status(200),
    range_as_203=faults.range_status(203),
    shifted=faults.wrong_range(1),
    shifted_back=faults.wrong_range(-1),
    other_total=faults.wrong_range(total=12345678),
    pieces=faults.at_most(100_000),
    small_pieces=faults.at_most(20_000),
    byte_by_byte=faults.at_most(1),
    from_page=faults.moved_range(_early(4 * KIB)),
    from_mebibyte=faults.moved_range(_early(KIB * KIB)),
    to_the_end=faults.moved_range(lambda first, last: (first, 1 << 40)),
    beyond=faults.moved_range(lambda first, last: (first, last + 777)),
    always_whole=faults.moved_range(lambda first, last: (0, 1 << 40)),
    always_beginning=faults.moved_range(lambda first, last: (0, last - first)),
) | _made(ALWAYS, ranges_refused=lambda random, _: faults.to_ranges(_refusal(random)))

LIMITS = _made(
    ALWAYS,
    further_refused=lambda random, _: faults.further(random.choice([1, 1, 2, 3]), _busy(random)),
    each_nth=lambda random, _: faults.to_each(random.choice([3, 5]), random.choice([_soon(random), faults.cut(0)])),
)

MANNERS: Mapping[str, Mapping[str, Behaviour]] = {
    "head": HEADS,
    "frame": FRAMES,
    "etag": ETAGS,
    "ranges": RANGES,
    "limit": LIMITS,
}
"""By group; a server has at most one manner of each."""

MISHAPS: Mapping[str, Behaviour] = (
    _made(
        ALWAYS,
        cut=lambda random, data: faults.cut(_within(random, data), reset=random.random() < 0.3),
        cut_chunks=lambda random, data: faults.chunked() + faults.cut(_within(random, data)),
        busy=lambda random, _: _soon(random),
        cut_head=lambda random, _: faults.garbage(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"[: random.randrange(40)]
        ),
        long_announced=lambda random, _: faults.announce(random.choice([1, 99])),
        stalled=lambda random, data: random.choice([faults.stall(_within(random, data)), faults.stall_head()]),
    )
    | _fixed(
        ALWAYS,
        no_last_chunk=faults.no_last_chunk(),
        bad_chunk=faults.chunk_sizes(b"zz\r\n"),
        endless_error=faults.endless_error(503),
        accepted=faults.status(202, body=b"preparing"),
    )
    | _fixed(PATIENT, empty=faults.status(200), no_content=faults.status(204))
    | _made(
        DIGEST,
        cut_line=lambda random, data: faults.close_delimited() + faults.cut(random.randrange(len(data))),
        range_lies=lambda random, _: random.choice([faults.wrong_range(7), faults.wrong_range(total=7)]),
    )
    | _made(
        BEGUN,
        page=_page,
        refused=lambda random, _: faults.status(random.choice([400, 401, 403, 404, 410, 416, 451, 501, 511])),
        page_refused=lambda random, _: faults.login_page(random.choice([403, 511])),
        not_http=lambda *_: faults.garbage(),
        loop=lambda *_: faults.redirect("/loop"),
        gzip=lambda *_: faults.gzipped(),
    )
    | _made(
        BEGUN,
        lies=True,
        short=lambda random, data: faults.shorter(random.randrange(1, len(data))),
        long=lambda random, _: faults.longer(random.choice([1, 5000])),
    )
    | _made(
        OFF,
        lies=True,
        flipped=lambda random, data: faults.flipped(random.randrange(len(data))),
        short_announced=lambda random, data: faults.announce(-random.randrange(1, len(data))),
        other=lambda random, data: faults.changed(data[::-1]),
        other_begun=lambda random, data: faults.changed(data[: len(data) // 2] + b"other" + data[len(data) // 2 :]),
    )
)
