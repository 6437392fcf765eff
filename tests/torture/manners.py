"""What a server does with each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tests.servers import faults
from tests.servers.faults import Fault
from tests.torture.behaviours import ALWAYS, DIGEST, KIB, OFF, Behaviour, fixed, made, newer, soon


def _refusal(random: Random) -> Fault:
    statuses = (400, 401, 403, 404, 405, 416, 418, 429, 500, 501, 503, 520)
    kinds = [faults.hangs_up(), faults.cut(0), faults.login_page(), faults.status(200), faults.status(204)]
    return random.choice([*(faults.status(code) for code in statuses), *kinds])


def _busy(random: Random) -> Fault:
    refusals = [faults.status(code) for code in (403, 404, 416, 429, 500, 503, 509)]
    refusals += [faults.status(429, retry_after=1), faults.hangs_up(), faults.login_page(403)]
    return random.choice(refusals)


def _early(page: int) -> Callable[[int, int], tuple[int, int]]:
    return lambda first, last: (first // page * page, last)


HEADS = fixed(
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
) | fixed(DIGEST, coding_gzip=faults.coded("gzip"), coding_br=faults.coded("br"))

FRAMES = fixed(
    ALWAYS,
    chunked=faults.chunked(),
    chunk_names=faults.chunk_sizes(b"%x;name=value\r\n"),
    chunk_zeros=faults.chunk_sizes(b"000%X  \r\n"),
    trickled=faults.trickle(3e6),
) | fixed(DIGEST, close_delimited=faults.close_delimited(), html=faults.headers(Content_Type="text/html"))

ETAGS = (
    fixed(
        ALWAYS,
        no_etag=faults.no_etag(),
        weak_etag=faults.weak_etag(),
        modified=faults.only_modified(),
        empty_etag=faults.headers(ETag=""),
        bare_etag=faults.headers(ETag="abc"),
    )
    | made(ALWAYS, etag_now_and_then=lambda *_: faults.etag_now_and_then())
    | made(
        DIGEST,
        etag_new=lambda *_: faults.etag_per_edge(),
        edges=lambda random, _: faults.etag_per_edge(random.choice([2, 3])),
    )
)

RANGES = (
    fixed(
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
        whole_as_range=faults.whole_as_range(),
        first_part=faults.whole_as_range(count=100_000),
        pieces_of_all=faults.whole_as_range(count=70_000) + faults.at_most(70_000),
        always_beginning=faults.moved_range(lambda first, last: (0, last - first)),
    )
    | fixed(DIGEST, whole_as_bare_range=faults.whole_as_range(says=False))
    | made(ALWAYS, ranges_refused=lambda random, _: faults.to_ranges(_refusal(random)))
)

_EDGES = {
    name: behaviour
    for name, behaviour in [*HEADS.items(), *FRAMES.items(), *ETAGS.items(), *RANGES.items()]
    if behaviour.passes is ALWAYS
}


def _other_edge(random: Random, data: bytes) -> Fault:
    return faults.to_each(random.choice([2, 3]), _EDGES[random.choice(sorted(_EDGES))].make(random, data))


LIMITS = made(
    ALWAYS,
    other_edge=_other_edge,
    further_refused=lambda random, _: faults.further(random.choice([1, 1, 2, 3]), _busy(random)),
    each_nth=lambda random, _: faults.to_each(random.choice([3, 5]), random.choice([soon(random), faults.cut(0)])),
)

ETAGS |= made(OFF, changes=lambda random, data: faults.after(random.choice([1, 2, 3]), faults.changed(newer(data))))
MANNERS: Mapping[str, Mapping[str, Behaviour]] = {
    "head": HEADS,
    "frame": FRAMES,
    "etag": ETAGS,
    "ranges": RANGES,
    "limit": LIMITS,
}
"""By group; a server has at most one manner of each."""
